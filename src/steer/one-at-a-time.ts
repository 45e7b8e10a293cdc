/**
 * Bob Jenkins's one-at-a-time hash as libmemcached computes it (MEMCACHED_HASH_DEFAULT): the default key hash of
 * plain KETAMA pools.
 *
 * libmemcached adds `(uint32_t) *ptr` with a plain `char`, which is signed on x86: bytes from 0x80 up enter with
 * their sign extended. That is followed here, whatever machine this runs on, as pools are served from x86 clients.
 */
export function oneAtATime(bytes: Uint8Array, _view: DataView, offset: number, length: number): number {
  let h = 0;
  const end = offset + length;
  for (let at = offset; at < end; at++) {
    h = (h + ((bytes[at]! << 24) >> 24)) | 0;
    h = (h + (h << 10)) | 0;
    h ^= h >>> 6;
  }
  h = (h + (h << 3)) | 0;
  h ^= h >>> 11;
  return (h + (h << 15)) | 0;
}
