// Writes to a store until its disk is full, and frees it again; prints what the store's check says in between.
import { closeSync, openSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { openDatabase } from './database.ts';
import { createWriteCheck } from './write-check.ts';

const [folder = ''] = process.argv.slice(2);
const filler = join(folder, 'filler');
const db = openDatabase(join(folder, 'store.db'), ['CREATE TABLE note (text TEXT NOT NULL) STRICT']);
const insert = db.prepare('INSERT INTO note (text) VALUES (?)');
const check = createWriteCheck(db);
const said: unknown[] = [];

function fill(): void {
  const file = openSync(filler, 'w');
  try {
    for (;;) writeSync(file, Buffer.alloc(4096));
  } catch (error) {
    said.push((error as NodeJS.ErrnoException).code);
  }
  closeSync(file);
}

function write(): void {
  try {
    insert.run('x'.repeat(20_000));
  } catch {
    check.failed();
  }
}

said.push(check.ok());
fill();
said.push(check.ok());
write();
said.push(check.ok());
rmSync(filler);
said.push(check.ok());
write();
said.push(check.ok());
db.close();
process.stdout.write(JSON.stringify(said));
