import { describe, expect, test } from '@jest/globals';
import type { ContractTerms } from '@antirio/service-contract';
import { contractId, terms } from './escrow.fixture.ts';
import {
  disclosedOf,
  historyAfter,
  historyIn,
  noteVersion,
  openDisclosures,
  rootsSeenOf,
  sinceOf,
} from './key-history.ts';
import type { Secrets } from './sealed-keys.ts';

const devEui = '00000000000000aa';
const sessionOf = (devAddr: string) => ({ devEui, devAddr, nwkSKey: devAddr.repeat(4) });
const version = (keyVersion: number, ...devAddrs: string[]): Secrets => ({
  keyVersion,
  sessions: devAddrs.map(sessionOf),
});
const [A, B, C] = ['0000000a', '0000000b', '0000000c'] as const;

function documents() {
  const kept = new Map<string, unknown>();
  return {
    document: (id: string, name: string) => kept.get(`${id}/${name}`),
    putDocument: (id: string, name: string, value: unknown) => void kept.set(`${id}/${name}`, value),
  };
}

test('a version says since when it has had some of its keys', () => {
  const first = historyAfter(undefined, version(1, A));
  const second = historyAfter(first, version(2, A, B));
  expect([sinceOf(first), sinceOf(second)]).toEqual([1, 1]);
  const third = historyAfter(second, version(3, B, C));
  expect(sinceOf(third)).toBe(2);
  // a version that was noted already is not noted again, whatever is in the files by now
  expect(historyAfter(third, version(3, A))).toBe(third);
  expect(sinceOf(historyAfter(third, version(4, 'abcdef01')))).toBe(4);
});

test('those are disclosed that were in the version that was seen, and are in use', () => {
  const history = historyAfter(historyAfter(undefined, version(1, A)), version(2, A, B));
  const { sessions } = version(2, A, B);
  const namesOf = (seen: Parameters<typeof disclosedOf>[2]) =>
    disclosedOf(terms, history, seen, sessions).map(({ devAddr }) => devAddr);
  expect(namesOf({ version: 2 })).toEqual([]);
  expect(namesOf({ version: 2, exposedAt: 5 })).toEqual([A, B]);
  expect(namesOf({ version: 2, exposedAt: 5, exposedVersion: 1 })).toEqual([A]);
  expect(
    disclosedOf({ ...terms, confidentiality: 'relay' }, history, { version: 2, exposedAt: 5 }, sessions),
  ).toEqual([]);
});

test('what was seen is remembered after the contract, until the keys are others', () => {
  const store = documents();
  let files = version(1, A, B);
  expect(noteVersion(store, contractId, files)).toBe(1);
  expect(historyIn(store, contractId)?.version).toBe(1);
  const disclosures = openDisclosures(store, () => files);
  disclosures.look(terms, { version: 1 });
  expect(disclosures.all()).toEqual([]);
  disclosures.look(terms, { version: 1, exposedAt: 7 });
  expect(disclosures.all()).toMatchObject([{ devAddr: A, contractId, at: 7 }, { devAddr: B }]);
  // B joined anew; and after a restart without the contract
  files = version(2, A, C);
  expect(openDisclosures(store, () => files).all()).toMatchObject([{ devAddr: A }]);
});

describe('root keys', () => {
  const given: ContractTerms = { ...terms, confidentiality: 'process', rootKeys: true };
  const root = (byte: string) => ({ devEui, appKey: byte.repeat(16) });
  const withRoot = (keyVersion: number, byte: string, ...devAddrs: string[]): Secrets => ({
    ...version(keyVersion, ...devAddrs),
    rootKeys: [root(byte)],
  });

  test('that were seen stay so whatever joins there are, and after the contract, until they are others', () => {
    const store = documents();
    let files = withRoot(1, '11', A);
    noteVersion(store, contractId, files);
    const disclosures = openDisclosures(store, () => files);
    disclosures.look(given, { version: 1 });
    expect(disclosures.rootKeys()).toEqual([]);
    disclosures.look(given, { version: 1, exposedAt: 5 });
    expect(disclosures.rootKeys()).toEqual([{ devEui, contractId, at: 5 }]);
    // a join: a version with new session keys has the root key all the same
    files = withRoot(2, '11', B);
    expect(noteVersion(store, contractId, files)).toBe(1);
    disclosures.look(given, { version: 2, exposedAt: 5, exposedVersion: 1 });
    expect(disclosures.all()).toEqual([]);
    expect(openDisclosures(store, () => files).rootKeys()).toHaveLength(1);
    files = withRoot(3, '22', C);
    expect(noteVersion(store, contractId, files)).toBe(3);
    expect(disclosures.rootKeys()).toEqual([]);
    // the old one, seen once, is in no version any more
    disclosures.look(given, { version: 3, exposedAt: 5, exposedVersion: 1 });
    files = withRoot(4, '22', C);
    expect(openDisclosures(store, () => files).rootKeys()).toEqual([]);
  });

  test('are seen under terms that give them only', () => {
    const history = historyAfter(undefined, withRoot(1, '11', A));
    expect(rootsSeenOf(given, history, { version: 1, exposedAt: 5 }, [root('11')])).toHaveLength(1);
    expect(rootsSeenOf(terms, history, { version: 1, exposedAt: 5 }, [root('11')])).toEqual([]);
    expect(rootsSeenOf(given, undefined, { version: 1, exposedAt: 5 }, [root('11')])).toEqual([]);
  });

  test('a session that a provider made was never unseen', () => {
    const made = [{ ...sessionOf(B), broughtHome: true as const }];
    const files = { ...version(7, A), sessions: [...version(7, A).sessions, ...made] };
    expect(sinceOf(historyAfter(undefined, files))).toBe(1);
    const disclosures = openDisclosures(
      documents(),
      () => files,
      () => made,
    );
    expect(disclosures.all()).toEqual([{ devEui, devAddr: B }]);
  });
});
