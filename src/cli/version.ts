export { packageVersion } from '../control/version.ts';
