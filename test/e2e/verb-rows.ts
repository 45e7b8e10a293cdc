/**
 * Every single-key verb of the three protocols: what a client sends, and what memcached says to it. The steps of a row
 * follow each other on one key, which nobody else uses.
 */
import { binary, SET_EXTRAS, TOUCH_EXTRAS } from '../memcached/rows.ts';

/**
 * Request and answer. `<cas>` in a request stands for the CAS id of the last answer that had one, in an answer for any
 * id. SILENCE: no answer may come before that of the next step.
 */
export type Step = readonly [request: string | ((cas: bigint) => string), answer: string];

export interface Row {
  readonly verb: string;
  readonly steps: readonly Step[];
}

export const SILENCE = '';

const MISS = 'END\r\n';
const STORED = 'STORED\r\n';
const NOT_STORED = 'NOT_STORED\r\n';
const NOT_FOUND = 'NOT_FOUND\r\n';

export const CLASSIC_ROWS: readonly Row[] = [
  {
    verb: 'get',
    steps: [
      ['get c-get\r\n', MISS],
      ['set c-get 5 0 3\r\nabc\r\n', STORED],
      ['get c-get\r\n', 'VALUE c-get 5 3\r\nabc\r\nEND\r\n'],
      ['get c-get\n', 'VALUE c-get 5 3\r\nabc\r\nEND\r\n'],
    ],
  },
  {
    verb: 'gets',
    steps: [
      ['gets c-gets\r\n', MISS],
      ['set c-gets 0 0 3\r\nabc\r\n', STORED],
      ['gets c-gets\r\n', 'VALUE c-gets 0 3 <cas>\r\nabc\r\nEND\r\n'],
    ],
  },
  {
    verb: 'gat',
    steps: [
      ['gat 60 c-gat\r\n', MISS],
      ['set c-gat 1 0 2\r\nhi\r\n', STORED],
      ['gat 60 c-gat\r\n', 'VALUE c-gat 1 2\r\nhi\r\nEND\r\n'],
      ['mg c-gat t\r\n', 'HD t60\r\n'],
    ],
  },
  {
    verb: 'gats',
    steps: [
      ['gats 60 c-gats\r\n', MISS],
      ['set c-gats 1 0 2\r\nhi\r\n', STORED],
      ['gats 60 c-gats\r\n', 'VALUE c-gats 1 2 <cas>\r\nhi\r\nEND\r\n'],
    ],
  },
  {
    verb: 'set',
    steps: [
      ['set c-set 7 0 5\r\nhello\r\n', STORED],
      ['set c-set 4294967295 0 0\r\n\r\n', STORED],
      ['get c-set\r\n', 'VALUE c-set 4294967295 0\r\n\r\nEND\r\n'],
      ['set c-set 0 -1 1\r\nx\r\n', STORED],
      ['get c-set\r\n', MISS],
    ],
  },
  {
    verb: 'set noreply',
    steps: [
      ['set c-set-q 0 0 5 noreply\r\nquiet\r\n', SILENCE],
      ['get c-set-q\r\n', 'VALUE c-set-q 0 5\r\nquiet\r\nEND\r\n'],
    ],
  },
  {
    verb: 'add',
    steps: [
      ['add c-add 0 0 1\r\na\r\n', STORED],
      ['add c-add 0 0 1\r\nb\r\n', NOT_STORED],
      ['add c-add 0 0 1 noreply\r\nc\r\n', SILENCE],
      ['get c-add\r\n', 'VALUE c-add 0 1\r\na\r\nEND\r\n'],
    ],
  },
  {
    verb: 'replace',
    steps: [
      ['replace c-replace 0 0 1\r\na\r\n', NOT_STORED],
      ['set c-replace 0 0 1\r\na\r\n', STORED],
      ['replace c-replace 0 0 1\r\nb\r\n', STORED],
      ['replace c-replace 0 0 1 noreply\r\nc\r\n', SILENCE],
      ['get c-replace\r\n', 'VALUE c-replace 0 1\r\nc\r\nEND\r\n'],
    ],
  },
  {
    verb: 'append',
    steps: [
      ['append c-append 0 0 1\r\na\r\n', NOT_STORED],
      ['set c-append 3 0 1\r\na\r\n', STORED],
      ['append c-append 0 0 1\r\nb\r\n', STORED],
      ['append c-append 0 0 1 noreply\r\nc\r\n', SILENCE],
      ['get c-append\r\n', 'VALUE c-append 3 3\r\nabc\r\nEND\r\n'],
    ],
  },
  {
    verb: 'prepend',
    steps: [
      ['prepend c-prepend 0 0 1\r\na\r\n', NOT_STORED],
      ['set c-prepend 3 0 1\r\na\r\n', STORED],
      ['prepend c-prepend 0 0 1\r\nb\r\n', STORED],
      ['prepend c-prepend 0 0 1 noreply\r\nc\r\n', SILENCE],
      ['get c-prepend\r\n', 'VALUE c-prepend 3 3\r\ncba\r\nEND\r\n'],
    ],
  },
  {
    verb: 'cas',
    steps: [
      ['cas c-cas 0 0 1 1\r\na\r\n', NOT_FOUND],
      ['set c-cas 0 0 1\r\na\r\n', STORED],
      ['gets c-cas\r\n', 'VALUE c-cas 0 1 <cas>\r\na\r\nEND\r\n'],
      ['cas c-cas 0 0 1 <cas>\r\nb\r\n', STORED],
      ['cas c-cas 0 0 1 <cas>\r\nc\r\n', 'EXISTS\r\n'],
      ['gets c-cas\r\n', 'VALUE c-cas 0 1 <cas>\r\nb\r\nEND\r\n'],
      ['cas c-cas 0 0 1 <cas> noreply\r\nd\r\n', SILENCE],
      ['get c-cas\r\n', 'VALUE c-cas 0 1\r\nd\r\nEND\r\n'],
    ],
  },
  {
    verb: 'incr',
    steps: [
      ['incr c-incr 1\r\n', NOT_FOUND],
      ['set c-incr 0 0 2\r\n41\r\n', STORED],
      ['incr c-incr 1\r\n', '42\r\n'],
      ['incr c-incr 18446744073709551615\r\n', '41\r\n'],
      ['incr c-incr 2 noreply\r\n', SILENCE],
      ['get c-incr\r\n', 'VALUE c-incr 0 2\r\n43\r\nEND\r\n'],
    ],
  },
  {
    verb: 'incr of what is no number',
    steps: [
      ['set c-incr-text 0 0 3\r\nabc\r\n', STORED],
      ['incr c-incr-text 1\r\n', 'CLIENT_ERROR cannot increment or decrement non-numeric value\r\n'],
    ],
  },
  {
    verb: 'decr',
    steps: [
      ['decr c-decr 1\r\n', NOT_FOUND],
      ['set c-decr 0 0 2\r\n41\r\n', STORED],
      ['decr c-decr 1\r\n', '40\r\n'],
      ['decr c-decr 1 noreply\r\n', SILENCE],
      ['decr c-decr 100\r\n', '0\r\n'],
    ],
  },
  {
    verb: 'delete',
    steps: [
      ['delete c-delete\r\n', NOT_FOUND],
      ['set c-delete 0 0 1\r\na\r\n', STORED],
      ['delete c-delete\r\n', 'DELETED\r\n'],
      ['set c-delete 0 0 1\r\na\r\n', STORED],
      ['delete c-delete noreply\r\n', SILENCE],
      ['get c-delete\r\n', MISS],
    ],
  },
  {
    verb: 'touch',
    steps: [
      ['touch c-touch 60\r\n', NOT_FOUND],
      ['set c-touch 0 0 1\r\na\r\n', STORED],
      ['touch c-touch 60\r\n', 'TOUCHED\r\n'],
      ['touch c-touch 120 noreply\r\n', SILENCE],
      ['mg c-touch t\r\n', 'HD t120\r\n'],
    ],
  },
  {
    verb: 'a key of 250 bytes',
    steps: [
      [`set ${'k'.repeat(250)} 0 0 1\r\na\r\n`, STORED],
      [`get ${'k'.repeat(250)}\r\n`, `VALUE ${'k'.repeat(250)} 0 1\r\na\r\nEND\r\n`],
    ],
  },
];

export const META_ROWS: readonly Row[] = [
  {
    verb: 'mg',
    steps: [
      ['mg m-get v\r\n', 'EN\r\n'],
      ['mg m-get v q\r\n', SILENCE],
      ['ms m-get 3 F9\r\nabc\r\n', 'HD\r\n'],
      ['mg m-get\r\n', 'HD\r\n'],
      ['mg m-get v f k s t Oop4que\r\n', 'VA 3 f9 km-get s3 t-1 Oop4que\r\nabc\r\n'],
      ['mg m-get c v q\r\n', 'VA 3 c<cas>\r\nabc\r\n'],
      ['mg bS1nZXQ= v k b\r\n', 'VA 3 km-get\r\nabc\r\n'], // the same key in base64
    ],
  },
  {
    verb: 'mg, key in base64',
    steps: [
      ['ms bS1iNjQ= 1 b\r\nx\r\n', 'HD\r\n'],
      ['mg m-b64 v\r\n', 'VA 1\r\nx\r\n'], // the same key as it is
      ['mg bS1iNjQ= v k b\r\n', 'VA 1 kbS1iNjQ= b\r\nx\r\n'],
    ],
  },
  {
    verb: 'mg with touch and vivify',
    steps: [
      ['mg m-touch T60 N30 t v\r\n', 'VA 0 t30 W\r\n\r\n'],
      ['mg m-touch T60 t v\r\n', 'VA 0 t60 Z\r\n\r\n'],
    ],
  },
  {
    verb: 'ms',
    steps: [
      ['ms m-set 2 F5 T60 Oone k\r\nhi\r\n', 'HD Oone km-set\r\n'],
      ['ms m-set 2 ME\r\nno\r\n', 'NS\r\n'],
      ['ms m-set 1 MA\r\n!\r\n', 'HD\r\n'],
      ['ms m-set 1 MP q\r\n>\r\n', SILENCE],
      ['mg m-set v f c\r\n', 'VA 4 f5 c<cas>\r\n>hi!\r\n'],
      ['ms m-set 1 C<cas>\r\nx\r\n', 'HD\r\n'],
      ['ms m-set 1 C<cas>\r\ny\r\n', 'EX\r\n'],
      ['ms m-set-absent 1 MR\r\ny\r\n', 'NS\r\n'],
      ['ms m-set-absent 1 C1\r\ny\r\n', 'NF\r\n'],
      ['mg m-set v\r\n', 'VA 1\r\nx\r\n'],
    ],
  },
  {
    verb: 'md',
    steps: [
      ['md m-delete\r\n', 'NF\r\n'],
      ['ms m-delete 1\r\na\r\n', 'HD\r\n'],
      ['md m-delete q\r\n', SILENCE],
      ['md m-delete q\r\n', 'NF\r\n'],
      ['ms m-delete 1\r\na\r\n', 'HD\r\n'],
      ['mg m-delete c\r\n', 'HD c<cas>\r\n'],
      ['md m-delete C1\r\n', 'EX\r\n'],
      ['md m-delete C<cas> Oid\r\n', 'HD Oid\r\n'],
      ['mg m-delete v\r\n', 'EN\r\n'],
    ],
  },
  {
    verb: 'ma',
    steps: [
      ['ma m-count\r\n', 'NF\r\n'],
      ['ma m-count N0 J13 v\r\n', 'VA 2\r\n13\r\n'],
      ['ma m-count D30 v\r\n', 'VA 2\r\n43\r\n'],
      ['ma m-count MD D3 q\r\n', SILENCE],
      ['ma m-count M- v Onn\r\n', 'VA 2 Onn\r\n39\r\n'],
    ],
  },
];

const NEVER = '\0\0\0\0';
const be64 = (value: bigint) => Buffer.from(value.toString(16).padStart(16, '0'), 'hex').toString('latin1');
/** delta, initial value, and whether a counter that is not there is made */
const counter = (delta: bigint, initial: bigint, creates: boolean) =>
  be64(delta) + be64(initial) + (creates ? NEVER : '\xff\xff\xff\xff');

const OK = 'ok';
const BINARY_MISS = 'key not found: Not found';
const EXISTS = 'key exists: Data exists for key.';
const NOT_STORED_STATUS = 'not stored: Not stored.';

/** Answers as `describeBinary` puts them. */
export const BINARY_ROWS: readonly Row[] = [
  {
    verb: 'get, getk',
    steps: [
      [binary({ op: 0x00, key: 'b-get' }), BINARY_MISS],
      [binary({ op: 0x01, key: 'b-get', extras: SET_EXTRAS, value: 'abc' }), OK],
      [binary({ op: 0x00, key: 'b-get' }), 'ok flags=5 value=abc'],
      [binary({ op: 0x0c, key: 'b-get' }), 'ok flags=5 key=b-get value=abc'],
      [binary({ op: 0x0c, key: 'b-getk-absent' }), 'key not found: key=b-getk-absent'],
    ],
  },
  {
    verb: 'getq, getkq',
    steps: [
      [binary({ op: 0x09, key: 'b-getq' }), SILENCE],
      [binary({ op: 0x0d, key: 'b-getq' }), SILENCE],
      [binary({ op: 0x01, key: 'b-getq', extras: SET_EXTRAS, value: 'abc' }), OK],
      [binary({ op: 0x09, key: 'b-getq' }), 'ok flags=5 value=abc'],
      [binary({ op: 0x0d, key: 'b-getq' }), 'ok flags=5 key=b-getq value=abc'],
    ],
  },
  {
    verb: 'set, setq',
    steps: [
      [binary({ op: 0x01, key: 'b-set', extras: SET_EXTRAS, value: 'one' }), OK],
      [binary({ op: 0x11, key: 'b-set', extras: SET_EXTRAS, value: 'two' }), SILENCE],
      [binary({ op: 0x00, key: 'b-set' }), 'ok flags=5 value=two'],
      [cas => binary({ op: 0x01, key: 'b-set', extras: SET_EXTRAS, value: 'fence', cas: be64(cas) }), OK],
      [cas => binary({ op: 0x01, key: 'b-set', extras: SET_EXTRAS, value: 'x', cas: be64(cas + 1000n) }), EXISTS],
      [cas => binary({ op: 0x11, key: 'b-set', extras: SET_EXTRAS, value: 'x', cas: be64(cas + 1000n) }), EXISTS],
      [binary({ op: 0x00, key: 'b-set' }), 'ok flags=5 value=fence'],
    ],
  },
  {
    verb: 'add, addq',
    steps: [
      [binary({ op: 0x02, key: 'b-add', extras: SET_EXTRAS, value: 'one' }), OK],
      [binary({ op: 0x02, key: 'b-add', extras: SET_EXTRAS, value: 'two' }), EXISTS],
      [binary({ op: 0x12, key: 'b-add', extras: SET_EXTRAS, value: 'two' }), EXISTS],
      [binary({ op: 0x04, key: 'b-add' }), OK],
      [binary({ op: 0x12, key: 'b-add', extras: SET_EXTRAS, value: 'two' }), SILENCE],
      [binary({ op: 0x00, key: 'b-add' }), 'ok flags=5 value=two'],
    ],
  },
  {
    verb: 'replace, replaceq',
    steps: [
      [binary({ op: 0x03, key: 'b-replace', extras: SET_EXTRAS, value: 'one' }), BINARY_MISS],
      [binary({ op: 0x13, key: 'b-replace', extras: SET_EXTRAS, value: 'one' }), BINARY_MISS],
      [binary({ op: 0x01, key: 'b-replace', extras: SET_EXTRAS, value: 'one' }), OK],
      [binary({ op: 0x03, key: 'b-replace', extras: SET_EXTRAS, value: 'two' }), OK],
      [binary({ op: 0x13, key: 'b-replace', extras: SET_EXTRAS, value: 'three' }), SILENCE],
      [binary({ op: 0x00, key: 'b-replace' }), 'ok flags=5 value=three'],
    ],
  },
  {
    verb: 'append, appendq',
    steps: [
      [binary({ op: 0x0e, key: 'b-append', value: '!' }), NOT_STORED_STATUS],
      [binary({ op: 0x19, key: 'b-append', value: '!' }), NOT_STORED_STATUS],
      [binary({ op: 0x01, key: 'b-append', extras: SET_EXTRAS, value: 'a' }), OK],
      [binary({ op: 0x0e, key: 'b-append', value: 'b' }), OK],
      [binary({ op: 0x19, key: 'b-append', value: 'c' }), SILENCE],
      [binary({ op: 0x00, key: 'b-append' }), 'ok flags=5 value=abc'],
    ],
  },
  {
    verb: 'prepend, prependq',
    steps: [
      [binary({ op: 0x0f, key: 'b-prepend', value: '!' }), NOT_STORED_STATUS],
      [binary({ op: 0x1a, key: 'b-prepend', value: '!' }), NOT_STORED_STATUS],
      [binary({ op: 0x01, key: 'b-prepend', extras: SET_EXTRAS, value: 'a' }), OK],
      [binary({ op: 0x0f, key: 'b-prepend', value: 'b' }), OK],
      [binary({ op: 0x1a, key: 'b-prepend', value: 'c' }), SILENCE],
      [binary({ op: 0x00, key: 'b-prepend' }), 'ok flags=5 value=cba'],
    ],
  },
  {
    verb: 'incr, incrq',
    steps: [
      [binary({ op: 0x05, key: 'b-incr', extras: counter(1n, 0n, false) }), BINARY_MISS],
      [binary({ op: 0x15, key: 'b-incr', extras: counter(1n, 0n, false) }), BINARY_MISS],
      [binary({ op: 0x05, key: 'b-incr', extras: counter(1n, 40n, true) }), 'ok value=\0\0\0\0\0\0\0\x28'],
      [binary({ op: 0x05, key: 'b-incr', extras: counter(2n, 0n, true) }), 'ok value=\0\0\0\0\0\0\0\x2a'],
      [binary({ op: 0x15, key: 'b-incr', extras: counter(1n, 0n, true) }), SILENCE],
      [binary({ op: 0x00, key: 'b-incr' }), 'ok flags=0 value=43'],
    ],
  },
  {
    verb: 'decr, decrq',
    steps: [
      [binary({ op: 0x06, key: 'b-decr', extras: counter(1n, 0n, false) }), BINARY_MISS],
      [binary({ op: 0x16, key: 'b-decr', extras: counter(1n, 0n, false) }), BINARY_MISS],
      [binary({ op: 0x06, key: 'b-decr', extras: counter(1n, 40n, true) }), 'ok value=\0\0\0\0\0\0\0\x28'],
      [binary({ op: 0x16, key: 'b-decr', extras: counter(1n, 0n, true) }), SILENCE],
      [binary({ op: 0x06, key: 'b-decr', extras: counter(100n, 0n, true) }), 'ok value=\0\0\0\0\0\0\0\0'],
    ],
  },
  {
    verb: 'delete, deleteq',
    steps: [
      [binary({ op: 0x04, key: 'b-delete' }), BINARY_MISS],
      [binary({ op: 0x14, key: 'b-delete' }), BINARY_MISS],
      [binary({ op: 0x01, key: 'b-delete', extras: SET_EXTRAS, value: 'a' }), OK],
      [binary({ op: 0x04, key: 'b-delete' }), OK],
      [binary({ op: 0x01, key: 'b-delete', extras: SET_EXTRAS, value: 'a' }), OK],
      [binary({ op: 0x14, key: 'b-delete' }), SILENCE],
      [binary({ op: 0x00, key: 'b-delete' }), BINARY_MISS],
    ],
  },
  {
    verb: 'touch',
    steps: [
      [binary({ op: 0x1c, key: 'b-touch', extras: TOUCH_EXTRAS }), BINARY_MISS],
      [binary({ op: 0x01, key: 'b-touch', extras: SET_EXTRAS, value: 'a' }), OK],
      [binary({ op: 0x1c, key: 'b-touch', extras: TOUCH_EXTRAS }), 'ok flags=5'],
    ],
  },
  {
    verb: 'gat, gatq, gatk, gatkq',
    steps: [
      [binary({ op: 0x1d, key: 'b-gat', extras: TOUCH_EXTRAS }), BINARY_MISS],
      [binary({ op: 0x1e, key: 'b-gat', extras: TOUCH_EXTRAS }), SILENCE],
      [binary({ op: 0x24, key: 'b-gat', extras: TOUCH_EXTRAS }), SILENCE],
      [binary({ op: 0x01, key: 'b-gat', extras: SET_EXTRAS, value: 'a' }), OK],
      [binary({ op: 0x1d, key: 'b-gat', extras: TOUCH_EXTRAS }), 'ok flags=5 value=a'],
      [binary({ op: 0x1e, key: 'b-gat', extras: TOUCH_EXTRAS }), 'ok flags=5 value=a'],
      [binary({ op: 0x23, key: 'b-gat', extras: TOUCH_EXTRAS }), 'ok flags=5 key=b-gat value=a'],
      [binary({ op: 0x24, key: 'b-gat', extras: TOUCH_EXTRAS }), 'ok flags=5 key=b-gat value=a'],
    ],
  },
];
