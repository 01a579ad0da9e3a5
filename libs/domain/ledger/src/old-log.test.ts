import { readFileSync } from 'node:fs';
import { expect, test } from '@jest/globals';
import { genesisWrites, type Genesis } from './genesis.ts';
import { apply } from './machine.ts';
import { EMPTY_STATE_HASH, MemoryState, nextStateHash } from './state.ts';
import type { SignedTx } from './transaction.ts';

// Written by commit 97bfbd6: several takeovers, drills, disputes, silence, breaches, expiry, and refusals of all of these. A log that
// leads to another state than it says is not opened, and nodes of two versions part: where this fails, change the rule, not the log.
const [first = '', ...lines] = readFileSync(new URL('old-log.fixture.jsonl', import.meta.url), 'utf8')
  .trim()
  .split('\n');

test('a log of before leads to the state that it led to then, refusals and all', () => {
  const { genesis, hash: began } = JSON.parse(first) as { genesis: Genesis; hash: string };
  const state = new MemoryState();
  const writes = genesisWrites(state, genesis);
  state.apply(writes);
  let hash = nextStateHash(EMPTY_STATE_HASH, writes);
  expect(hash).toBe(began);
  for (const [index, line] of lines.entries()) {
    const said = JSON.parse(line) as { tx: SignedTx; now: number; hash: string };
    const applied = apply(state, said.tx, { now: said.now, height: index + 1 });
    hash = nextStateHash(hash, applied.writes);
    state.apply(applied.writes);
    const { type } = said.tx.body.payload;
    expect({ index, type, hash }).toEqual({ index, type, hash: said.hash });
  }
  expect(lines).toHaveLength(101);
});
