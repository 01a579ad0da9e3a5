// How Jest takes the types out of sources: as Node does when it runs them, so that every line and column stays where it is. The types
// themselves are checked by `npm run check`.
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { stripTypeScriptTypes } from 'node:module';

const itself = readFileSync(import.meta.filename);

export default {
  process: (source: string): { readonly code: string } => ({ code: stripTypeScriptTypes(source) }),
  /** By what Jest keeps a result: another Node may strip otherwise. */
  getCacheKey: (source: string): string =>
    createHash('sha256').update(itself).update(process.version).update(source).digest('hex'),
};
