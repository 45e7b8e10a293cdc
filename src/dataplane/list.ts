/** Lists of frames that the stages of a lane hand on to each other. */

/** Frames taken from a port at once: enough to spread the cost of a kernel call, few enough to stay in the L2 cache. */
export const BATCH_ROWS = 64;

/**
 * A list of frames for a stage: per frame 4 int32.
 *
 *     word 0  ROW   its first word in the batch
 *          1  IP    offset of the IPv4 header in the arena, bytes
 *          2  UDP   of the UDP header
 *          3  END   of the UDP payload
 */
export const LIST_WORDS = 4;
export const LIST_ROW = 0;
export const LIST_IP = 1;
export const LIST_UDP = 2;
export const LIST_END = 3;
