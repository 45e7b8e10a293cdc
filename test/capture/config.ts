/** The network of the lane bed, as configurations. */
import { configFromFlags } from '../../src/control/config/load.ts';
import { FIRST_PORT, MC1, MC2, OWN, VIP } from '../support/lane-bed.ts';

export const FLAGS = {
  vip: VIP,
  client: 'cl0',
  server: 'sv0',
  serverAddress: `${OWN}/24`,
  node: [`mc1=${MC1.ip}:${MC1.port}`, `mc2=${MC2.ip}:${MC2.port}`],
  sourcePortBase: FIRST_PORT,
  slots: 1024,
};

export const CONFIG = configFromFlags(FLAGS);
