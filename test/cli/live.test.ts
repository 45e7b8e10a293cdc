import { getEventListeners } from 'node:events';
import { describe, expect, it } from 'vitest';
import { pause } from '../../src/cli/live.ts';

describe('a pause between two looks', () => {
  it('leaves no listener behind, and is cut short', async () => {
    const quit = new AbortController();
    for (let looks = 0; looks < 20; looks++) await pause(0, quit.signal);
    expect(getEventListeners(quit.signal, 'abort')).toHaveLength(0);
    const long = pause(60_000, quit.signal);
    quit.abort();
    await long;
    expect(getEventListeners(quit.signal, 'abort')).toHaveLength(0);
  });
});
