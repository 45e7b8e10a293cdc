/** What `import … from 'keysteer/client'` gives. */
export * from './errors.ts';
export type { ExchangeCounts } from './exchanges.ts';
export type { Item, MetaReply } from './replies.ts';
export type { StoreOptions, StoreVerb, Value } from './requests.ts';
export * as requests from './requests.ts';
export { type CasOutcome, type ClientOptions, UdpClient } from './udp-client.ts';
