/**
 * Why a request is not forwarded. The parser gives the first group, the data plane the second; both use one numbering,
 * so that a reason is a counter name, a line for ASCII clients and a status for binary ones.
 */
export const REQUEST_OK = 0;

/** Datagram of 8 bytes or fewer. memcached ignores it. */
export const REFUSED_EMPTY = 1;
/** Binary header not whole. memcached waits for the rest, that is, ignores it. */
export const REFUSED_TRUNCATED = 2;
/** ASCII request without a newline. memcached ignores it. */
export const REFUSED_NO_NEWLINE = 3;
export const REFUSED_VERB = 4;
/** Too few or too many arguments; binary: wrong extras or an unwanted key. */
export const REFUSED_ARGUMENTS = 5;
/** Key missing (binary), longer than 250 bytes, with a NUL (ASCII), or not base64 though flagged so. */
export const REFUSED_KEY = 6;
export const REFUSED_NUMBER = 7;
/** A NUL outside the key: the line would end there for memcached. */
export const REFUSED_LINE = 8;
/** Unknown form of a meta flag, a flag given twice, or a bad token. */
export const REFUSED_FLAG = 9;
/** Declared and real length of the value differ: the short `set` that would poison a node, or its like. */
export const REFUSED_LENGTH = 10;
/** Bytes behind the command: more than one command in the datagram. */
export const REFUSED_TRAILING = 11;

/** More keys than the configured limit. */
export const REFUSED_MULTIGET_KEYS = 12;
export const REFUSED_DENIED = 13;
/** Frame header with total ≠ 1. */
export const REFUSED_TOTAL = 14;
export const REFUSED_NO_NODE = 15;
export const REFUSED_BUSY = 16;
/** An argument that `stats` does not know. */
export const REFUSED_STAT = 17;
/** The reply to `stats` would be longer than it may be. */
export const REFUSED_STATS_SIZE = 18;
/** A command for every node that some node did not carry out in time. */
export const REFUSED_BROADCAST = 19;

// The gatekeeper's. They are silent: an answer to a flood, or to a forged source, would only add to it.
/** Not in the allow-list, or a source that cannot be a client's. */
export const REFUSED_SOURCE = 20;
/** The source's requests per second are spent. */
export const REFUSED_RATE = 21;
/** The source's response bytes per second are spent. */
export const REFUSED_RESPONSE_BYTES = 22;
/** The source has had too many response bytes for the bytes it sent. */
export const REFUSED_RATIO = 23;
/** The source has its share of the slots outstanding. */
export const REFUSED_SHARE = 24;
/** What new sources may have together is spent. */
export const REFUSED_NEWCOMERS = 25;
/** More multi-key requests at once than there is room for. */
export const REFUSED_MULTIGET_BUSY = 26;
/** The values of a multi-key request do not fit the room there is to gather them. */
export const REFUSED_MULTIGET_MEMORY = 27;
/** A write of a hot key that has waited for an earlier one of that key as long as it may. */
export const REFUSED_WRITE_WAIT = 28;

/** Binary status codes that memcached and libmemcached know. */
const NOT_FOUND = 0x0001;
const INVALID_ARGUMENTS = 0x0004;
const UNKNOWN_COMMAND = 0x0081;
const NOT_SUPPORTED = 0x0083;
const OUT_OF_MEMORY = 0x0082;
const BUSY = 0x0085;
const TEMPORARY_FAILURE = 0x0086;

const BAD_LINE = 'CLIENT_ERROR bad command line format';

/**
 * name (a counter's), line without its CRLF ('' = silence), binary status, text of the binary answer where it is not the
 * line's own.
 */
const REFUSALS: readonly (readonly [name: string, line: string, status: number, text?: string])[] = [
  ['ok', '', 0],
  ['empty', '', INVALID_ARGUMENTS],
  ['truncated', '', INVALID_ARGUMENTS],
  ['no_newline', '', INVALID_ARGUMENTS],
  ['verb', 'ERROR', UNKNOWN_COMMAND],
  ['arguments', 'ERROR', INVALID_ARGUMENTS],
  ['key', BAD_LINE, INVALID_ARGUMENTS],
  ['number', BAD_LINE, INVALID_ARGUMENTS],
  ['line', BAD_LINE, INVALID_ARGUMENTS],
  ['flag', 'CLIENT_ERROR invalid or duplicate flag', INVALID_ARGUMENTS],
  ['length', 'CLIENT_ERROR bad data chunk', INVALID_ARGUMENTS],
  ['trailing', 'CLIENT_ERROR more than one command in a datagram', INVALID_ARGUMENTS],
  ['multiget_keys', 'CLIENT_ERROR too many keys in one request', INVALID_ARGUMENTS],
  ['denied', 'CLIENT_ERROR command denied', NOT_SUPPORTED],
  ['total', 'SERVER_ERROR multi-packet request not supported', NOT_SUPPORTED],
  ['no_node', 'SERVER_ERROR no node available', TEMPORARY_FAILURE],
  ['busy', 'SERVER_ERROR too many outstanding requests', BUSY],
  ['stat', 'ERROR', NOT_FOUND, 'Not found'],
  ['stats_size', 'SERVER_ERROR out of memory writing stats', OUT_OF_MEMORY],
  ['broadcast', 'SERVER_ERROR not every node answered in time', TEMPORARY_FAILURE],
  ['source', '', 0],
  ['rate', '', 0],
  ['response_bytes', '', 0],
  ['ratio', '', 0],
  ['share', '', 0],
  ['newcomers', '', 0],
  ['multiget_busy', 'SERVER_ERROR too many outstanding multi-key requests', BUSY],
  ['multiget_memory', 'SERVER_ERROR out of memory writing get response', OUT_OF_MEMORY],
  ['write_wait', 'SERVER_ERROR an earlier write of this key is under way', BUSY],
];

export const REFUSAL_COUNT = REFUSALS.length;
/** Reason id → name, as in counters. */
export const REFUSAL_NAMES: readonly string[] = REFUSALS.map(([name]) => name);
/** Reason id → error line without CRLF; '' where nothing is answered. */
export const REFUSAL_LINES: readonly string[] = REFUSALS.map(([, line]) => line);
/** Reason id → body of the binary error response: the text alone, as the status says whose fault it is. */
export const REFUSAL_TEXTS: readonly string[] = REFUSALS.map(
  ([, line, , text]) => text ?? line.replace(/^[A-Z]+_ERROR /, ''),
);
/** Reason id → status of the binary error response. */
export const REFUSAL_STATUS = Uint16Array.from(REFUSALS, ([, , status]) => status);
