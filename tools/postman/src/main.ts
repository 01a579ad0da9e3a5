import { mkdirSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { readCommandLine } from '@antirio/command-line';
import { collectionOf, environmentOf, folderOf } from './collection.ts';
import { documentsOf, startEdge } from './running-edge.ts';

// `npm run postman`: writes what Postman imports.

const ROOT = resolve(import.meta.dirname, '../../..');

const USAGE = `npm run postman [-- FOLDER]: writes what Postman imports: for each service a collection and an environment, and all of them
as one (dist/postman).
`;

const folder = readCommandLine({
  usage: USAGE,
  flags: {},
  positionals: 1,
  read: ({ positionals: [wanted = join(ROOT, 'dist/postman')] }) =>
    resolve(process.env['INIT_CWD'] ?? '.', wanted),
});

const write = (name: string, value: unknown): void =>
  writeFileSync(join(folder, name), `${JSON.stringify(value, null, 2)}\n`);

const edge = await startEdge();
try {
  const documents = await documentsOf(edge);
  mkdirSync(folder, { recursive: true });
  const folders = [...documents].map(([room, document]) => {
    const one = folderOf(room, document);
    write(`${room}.postman_collection.json`, collectionOf(one.name, one.item));
    write(`${room}.postman_environment.json`, environmentOf(one.name, { [room]: edge.defaults[room] ?? '' }));
    return one;
  });
  write('antirio.postman_collection.json', collectionOf('Antirio', folders));
  write('antirio.postman_environment.json', environmentOf('Antirio', edge.defaults));
  process.stdout.write(`${documents.size} collections, and one of all, are in ${folder}\n`);
} finally {
  await edge.stop();
}
