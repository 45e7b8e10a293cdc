/*
 * Prints, as JSON, where libmemcached itself places keys: the vectors of the ketama tests.
 *
 *   gcc -O2 -Wall -o libmemcached-vectors libmemcached-vectors.c -lmemcached -lhashkit
 *   ./libmemcached-vectors > libmemcached.json
 *
 * No server needs to run: memcached_generate_hash() only consults the continuum.
 *
 *   keys         one string, separated by spaces; code points 0x80-0xff stand for single bytes
 *   hashes       for each hash, the keys' values in hex, in the same order
 *   placements   per pool and behaviour: servers as name:port:weight, and the server index per key, one base-36 digit
 */
#include <libhashkit-1.0/hashkit.h>
#include <libmemcached-1.0/memcached.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KEYS_MAX 3000
#define KEY_BYTES_MAX 250
#define SERVERS_MAX 25
#define DEFAULT_PORT 11211

struct server {
  const char *name;
  in_port_t port;
  uint32_t weight;
};

struct pool {
  int count;
  struct server servers[SERVERS_MAX];
};

struct hash {
  const char *name;
  memcached_hash_t id;
};

enum behaviour { WEIGHTED, PLAIN, PLAIN_GIVEN_WEIGHTS };

static const char *const behaviour_names[] = {"KETAMA_WEIGHTED", "KETAMA", "KETAMA, then weights"};

static const struct hash hashes[] = {
    {"murmur3", MEMCACHED_HASH_MURMUR3},
    {"md5", MEMCACHED_HASH_MD5},
    {"one_at_a_time", MEMCACHED_HASH_DEFAULT},
};

static const struct pool pools[] = {
    {1, {{"10.0.0.1", DEFAULT_PORT, 1}}},
    {2, {{"10.0.0.1", DEFAULT_PORT, 1}, {"10.0.0.2", DEFAULT_PORT, 1}}},
    {2, {{"10.0.0.1", DEFAULT_PORT, 1}, {"10.0.0.1", 11212, 1}}},
    {3, {{"cache-a.example.net", DEFAULT_PORT, 1}, {"cache-b.example.net", 11300, 1}, {"localhost", 65535, 1}}},
    {3, {{"10.77.1.11", DEFAULT_PORT, 1}, {"10.77.1.12", DEFAULT_PORT, 2}, {"10.77.1.13", DEFAULT_PORT, 5}}},
    {4,
     {{"10.77.1.11", DEFAULT_PORT, 1},
      {"10.77.1.12", DEFAULT_PORT, 1},
      {"10.77.1.13", DEFAULT_PORT, 1},
      {"10.77.1.14", DEFAULT_PORT, 1}}},
    {4, {{"127.0.0.1", 1, 5}, {"127.0.0.1", 80, 2}, {"mc3", DEFAULT_PORT, 2}, {"mc4", 22122, 1}}},
    {2, {{"10.0.0.1", DEFAULT_PORT, 1}, {"10.0.0.2", DEFAULT_PORT, 1000}}},
    {10,
     {{"192.168.0.1", DEFAULT_PORT, 1},
      {"192.168.0.2", DEFAULT_PORT, 1},
      {"192.168.0.3", DEFAULT_PORT, 1},
      {"192.168.0.4", DEFAULT_PORT, 1},
      {"192.168.0.5", DEFAULT_PORT, 1},
      {"192.168.0.6", DEFAULT_PORT, 1},
      {"192.168.0.7", DEFAULT_PORT, 1},
      {"192.168.0.8", DEFAULT_PORT, 1},
      {"192.168.0.9", DEFAULT_PORT, 1},
      {"192.168.0.10", DEFAULT_PORT, 1}}},
    {10,
     {{"192.168.0.1", DEFAULT_PORT, 5},
      {"192.168.0.2", 11212, 2},
      {"192.168.0.3", 11213, 1},
      {"n4.example.net", DEFAULT_PORT, 1},
      {"n5.example.net", DEFAULT_PORT, 2},
      {"n6.example.net", 12000, 5},
      {"192.168.0.7", DEFAULT_PORT, 1},
      {"192.168.0.8", DEFAULT_PORT, 1},
      {"192.168.0.9", 9, 2},
      {"192.168.0.10", DEFAULT_PORT, 1}}},
    /* 25 equal servers: rounding in C float leaves each with 156 points, not 160. */
    {25,
     {{"10.1.0.1", DEFAULT_PORT, 1},
      {"10.1.0.2", DEFAULT_PORT, 1},
      {"10.1.0.3", DEFAULT_PORT, 1},
      {"10.1.0.4", DEFAULT_PORT, 1},
      {"10.1.0.5", DEFAULT_PORT, 1},
      {"10.1.0.6", DEFAULT_PORT, 1},
      {"10.1.0.7", DEFAULT_PORT, 1},
      {"10.1.0.8", DEFAULT_PORT, 1},
      {"10.1.0.9", DEFAULT_PORT, 1},
      {"10.1.0.10", DEFAULT_PORT, 1},
      {"10.1.0.11", DEFAULT_PORT, 1},
      {"10.1.0.12", DEFAULT_PORT, 1},
      {"10.1.0.13", DEFAULT_PORT, 1},
      {"10.1.0.14", DEFAULT_PORT, 1},
      {"10.1.0.15", DEFAULT_PORT, 1},
      {"10.1.0.16", DEFAULT_PORT, 1},
      {"10.1.0.17", DEFAULT_PORT, 1},
      {"10.1.0.18", DEFAULT_PORT, 1},
      {"10.1.0.19", DEFAULT_PORT, 1},
      {"10.1.0.20", DEFAULT_PORT, 1},
      {"10.1.0.21", DEFAULT_PORT, 1},
      {"10.1.0.22", DEFAULT_PORT, 1},
      {"10.1.0.23", DEFAULT_PORT, 1},
      {"10.1.0.24", DEFAULT_PORT, 1},
      {"10.1.0.25", DEFAULT_PORT, 1}}},
};

#define COUNT(array) ((int)(sizeof(array) / sizeof((array)[0])))

static unsigned char keys[KEYS_MAX][KEY_BYTES_MAX + 1];
static int key_lengths[KEYS_MAX];
static int key_count;

/* xorshift32: the same keys on every run. */
static uint32_t random_word(void) {
  static uint32_t state = 2463534242u;
  state ^= state << 13;
  state ^= state >> 17;
  state ^= state << 5;
  return state;
}

static void add_key(int length) { key_lengths[key_count++] = length; }

static void add_random_key(int length, int first, int last) {
  for (int i = 0; i < length; i++) keys[key_count][i] = first + random_word() % (last - first + 1);
  add_key(length);
}

static void make_keys(void) {
  for (int i = 0; i < 600; i++) add_key(sprintf((char *)keys[key_count], "key-%d", i));
  for (int i = 0; i < 600; i++) add_key(sprintf((char *)keys[key_count], "user:%u:profile", random_word()));
  for (int i = 0; i < 500; i++) add_random_key(16, 'a', 'z');
  for (int length = 1; length <= KEY_BYTES_MAX; length++) add_random_key(length, '!', '~');
  for (int length = 1; length <= 50; length++) add_random_key(length, 0x80, 0xff);
}

/* Bytes above 0x7f go out as the UTF-8 of the code point of the same number. */
static void print_key(const unsigned char *key, int length) {
  for (int i = 0; i < length; i++) {
    if (key[i] == '"' || key[i] == '\\') printf("\\%c", key[i]);
    else if (key[i] < 0x80) putchar(key[i]);
    else if (key[i] < 0xa0) printf("\\u%04x", key[i]);
    else printf("%c%c", 0xc0 | (key[i] >> 6), 0x80 | (key[i] & 0x3f));
  }
}

static void print_keys(void) {
  printf("  \"keys\": \"");
  for (int i = 0; i < key_count; i++) {
    if (i > 0) putchar(' ');
    print_key(keys[i], key_lengths[i]);
  }
  printf("\",\n");
}

static void print_hashes(void) {
  printf("  \"hashes\": {\n");
  for (int h = 0; h < COUNT(hashes); h++) {
    printf("    \"%s\": \"", hashes[h].name);
    for (int i = 0; i < key_count; i++) {
      uint32_t hash = memcached_generate_hash_value((const char *)keys[i], key_lengths[i], hashes[h].id);
      printf(i > 0 ? " %08x" : "%08x", hash);
    }
    printf(h + 1 < COUNT(hashes) ? "\",\n" : "\"\n");
  }
  printf("  },\n");
}

static void require(memcached_return_t result, const char *what) {
  if (result == MEMCACHED_SUCCESS) return;
  fprintf(stderr, "%s: %s\n", what, memcached_strerror(NULL, result));
  exit(1);
}

static void add_servers(memcached_st *memc, const struct pool *pool, int weighted) {
  for (int i = 0; i < pool->count; i++) {
    const struct server *s = &pool->servers[i];
    require(memcached_server_add_with_weight(memc, s->name, s->port, weighted ? s->weight : 1), "server_add");
  }
}

/* KETAMA_WEIGHTED sets the key hash to MD5, so HASH must follow it. Plain KETAMA hashes its points by the HASH that
 * is set when the continuum is built, so there HASH comes first. */
static memcached_st *make_client(const struct pool *pool, enum behaviour behaviour, memcached_hash_t hash) {
  memcached_st *memc = memcached_create(NULL);
  if (behaviour == WEIGHTED) require(memcached_behavior_set(memc, MEMCACHED_BEHAVIOR_KETAMA_WEIGHTED, 1), "weighted");
  require(memcached_behavior_set(memc, MEMCACHED_BEHAVIOR_HASH, hash), "hash");
  if (behaviour != WEIGHTED) require(memcached_behavior_set(memc, MEMCACHED_BEHAVIOR_KETAMA, 1), "ketama");
  add_servers(memc, pool, behaviour != PLAIN);
  return memc;
}

static void print_placement(const struct pool *pool, enum behaviour behaviour, const struct hash *hash, int first) {
  memcached_st *memc = make_client(pool, behaviour, hash->id);
  if (!first) printf(",\n");
  printf("    {\n      \"behaviour\": \"%s\",\n      \"hash\": \"%s\",\n", behaviour_names[behaviour], hash->name);
  printf("      \"servers\": \"");
  for (int i = 0; i < pool->count; i++) {
    const struct server *s = &pool->servers[i];
    printf("%s%s:%u:%u", i > 0 ? " " : "", s->name, s->port, behaviour == PLAIN ? 1 : s->weight);
  }
  printf("\",\n      \"placement\": \"");
  for (int i = 0; i < key_count; i++) {
    putchar("0123456789abcdefghijklmnop"[memcached_generate_hash(memc, (const char *)keys[i], key_lengths[i])]);
  }
  printf("\"\n    }");
  memcached_free(memc);
}

static int is_weighted(const struct pool *pool) {
  for (int i = 0; i < pool->count; i++) {
    if (pool->servers[i].weight > 1) return 1;
  }
  return 0;
}

static void print_placements(void) {
  int first = 1;
  printf("  \"placements\": [\n");
  for (int p = 0; p < COUNT(pools); p++) {
    for (int h = 0; h < COUNT(hashes); h++) {
      for (enum behaviour b = WEIGHTED; b <= PLAIN_GIVEN_WEIGHTS; b++) {
        if (b == PLAIN_GIVEN_WEIGHTS && !is_weighted(&pools[p])) continue;
        print_placement(&pools[p], b, &hashes[h], first);
        first = 0;
      }
    }
  }
  printf("\n  ]\n");
}

int main(void) {
  make_keys();
  printf("{\n  \"libmemcached\": \"%s\",\n", memcached_lib_version());
  printf("  \"command\": \"gcc -O2 -o libmemcached-vectors libmemcached-vectors.c -lmemcached -lhashkit && "
         "./libmemcached-vectors > libmemcached.json\",\n");
  print_keys();
  print_hashes();
  print_placements();
  printf("}\n");
  return 0;
}
