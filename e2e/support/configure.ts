import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';

/** Changes options of a room of an edge, which reads them at its next start. */
export function configure(folder: string, room: string, changes: object): void {
  const file = path.join(folder, 'antirio.jsonc');
  const config = JSON.parse(readFileSync(file, 'utf8')) as Record<string, object | undefined>;
  writeFileSync(file, JSON.stringify({ ...config, [room]: { ...config[room], ...changes } }));
}
