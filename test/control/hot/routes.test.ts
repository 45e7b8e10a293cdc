import { describe, expect, it } from 'vitest';
import { answerAdmin } from '../../../src/control/admin/routes.ts';
import type { Instance } from '../../../src/control/admin/status.ts';

/** Asks an instance whose keeper only notes what it is told. */
function asked(hot: object = { detector: 'lossy', error: 0.000005 }) {
  const told: unknown[] = [];
  const instance = {
    conductor: {
      config: { fields: { hot } },
      hot: { lists: {}, order: (...order: unknown[]) => told.push(order), limit: (limits: object) => limits },
    },
  } as unknown as Instance;
  return { told, ask: (method: string, url: string, body = '') => answerAdmin(instance, method, url, body) };
}

describe('requests about hot keys', () => {
  it.each([
    ['/hot/pin?key=a%3Fb', 'a?b'],
    ['/hot/pin?key=a?b', 'a?b'],
    ['/hot/pin?key=caf%C3%A9', 'café'],
    ['/hot/pin?key=%5Cxff', String.raw`\xff`],
  ])('%s pins %s', async (url, key) => {
    const { told, ask } = asked();
    expect((await ask('POST', url)).status).toBe(200);
    expect(told).toEqual([['pin', key]]);
  });

  it.each(['/hot/pin?key=%ff', '/hot/pin?key=100%'])('%s is refused: it would be another key', async url => {
    const { told, ask } = asked();
    const { status, body } = await ask('POST', url);
    expect([status, told]).toEqual([400, []]);
    expect(body).toContain('must begin escapes of UTF-8');
  });

  it('a share that the detector cannot find is refused as in the file', async () => {
    const body = JSON.stringify({ share: 0.000001 });
    const refused = await asked().ask('PUT', '/hot/limits', body);
    expect(refused.status).toBe(400);
    expect(refused.body).toContain('share is 0.000001; it must be above hot.error (0.000005)');
    const adaptive = asked({ detector: 'self-adaptive', error: 0.000005 });
    expect((await adaptive.ask('PUT', '/hot/limits', body)).status).toBe(200);
  });
});
