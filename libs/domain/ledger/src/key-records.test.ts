import { beforeEach, describe, expect, test } from '@jest/globals';
import { signDocument, type Identity } from '@antirio/kernel';
import { GENUINE_KIND, KEY_HEADER_KIND, type ContractTerms } from '@antirio/service-contract';
import {
  ada,
  ben,
  central,
  cleo,
  contractOf,
  createTestLedger,
  makeTerms,
  ready,
  register,
  ringRootOf,
  statement,
  take,
  validation,
  type TestLedger,
} from './machine.fixture.ts';
import { invariantProblems } from './invariants.ts';
import { keys } from './records.ts';

let ledger: TestLedger;
beforeEach(() => {
  ledger = createTestLedger();
  register(ledger, ada, ben, cleo);
});

const HOLDERS = { threshold: 2, holders: [central.edgeId, cleo.edgeId] };
const lifeOf = ({ contractId }: ContractTerms) => ledger.state.get(keys.contract(contractId));
const keysOf = ({ contractId }: ContractTerms) => ledger.state.get(keys.keys(contractId));

function sign(by: Identity, { contractId }: ContractTerms, keyVersion: number, since?: number) {
  const hash = 'ab'.repeat(32);
  const about = since === undefined ? { contractId, keyVersion } : { contractId, keyVersion, since };
  const body = { ...about, sealed: hash, part: hash, threshold: 1, shares: [] };
  return { ...signDocument(by, KEY_HEADER_KIND, body), kind: KEY_HEADER_KIND } as const;
}
const rekey = (terms: ContractTerms, version: number, by = ada) =>
  ledger.send(ben, { type: 'contract/rekey', header: sign(by, terms, version) });
const rekeySince = (terms: ContractTerms, version: number, since: number) =>
  ledger.send(ben, { type: 'contract/rekey', header: sign(ada, terms, version, since) });
const open = ({ contractId }: ContractTerms, keyVersion = 1) =>
  ledger.send(central, {
    ...{ type: 'contract/open', contractId, keyVersion, root: ringRootOf(ben, contractId, 5) },
  });
const release = ({ contractId }: ContractTerms, opening: number, by: Identity = cleo, keyVersion = 1) =>
  ledger.send(by, { type: 'escrow/release', contractId, opening, keyVersion });

function isReady(terms: ContractTerms): ContractTerms {
  expect(ledger.send(central, validation(terms, ada, ben))).toMatchObject({ ok: true });
  expect(ledger.send(ben, ready(terms))).toMatchObject({ ok: true });
  return terms;
}

describe('a share', () => {
  test('is released by a holder, against an opening, once', () => {
    const terms = isReady(makeTerms(1, { escrow: HOLDERS }));
    expect(release(terms, 1)).toMatchObject({ ok: false, code: 'conflict' });
    open(terms);
    expect(release(terms, 1, ben)).toMatchObject({ ok: false });
    expect(release(terms, 2)).toMatchObject({ ok: false });
    expect(release(terms, 1, cleo, 2)).toMatchObject({ ok: false });
    expect(release(terms, 1)).toMatchObject({ ok: true });
    const at = ledger.now;
    ledger.now += 1000;
    expect(release(terms, 1)).toMatchObject({ ok: true });
    expect(
      ledger.state.get(keys.shareRelease(terms.contractId, 1, terms.escrow.holders[1] ?? terms.central)),
    ).toEqual({ keyVersion: 1, at });
  });

  test('is not released long after the opening, in the ledger’s own time', () => {
    const terms = isReady(makeTerms(1, { escrow: HOLDERS }));
    open(terms);
    ledger.now += 600_001;
    expect(release(terms, 1)).toMatchObject({ ok: false, code: 'conflict' });
    open(terms);
    expect(release(terms, 1)).toMatchObject({ ok: false });
    expect(release(terms, 2)).toMatchObject({ ok: true });
  });

  test('is held by neither party', () => {
    const escrow = { threshold: 1, holders: [ben.edgeId] };
    expect(ledger.send(central, validation(makeTerms(1, { escrow }), ada, ben))).toMatchObject({
      ok: false,
      code: 'invalidInput',
    });
  });
});

describe('a version of the keys', () => {
  test('is exposed by its first opening, a suspected one too', () => {
    const terms = isReady(makeTerms(1));
    expect(keysOf(terms)).toEqual({ version: 1, state: 'unconfirmed' });
    open(terms);
    const at = ledger.now;
    ledger.now += 5000;
    open(terms);
    expect(keysOf(terms)).toEqual({ version: 1, state: 'unconfirmed', exposedAt: at, exposedBy: 1 });
    expect(lifeOf(terms)).toMatchObject({ life: { state: 'READY' } });
  });

  test('is exposed by an opening that came before the provider was READY with it', () => {
    const terms = isReady(makeTerms(1));
    expect(open(terms, 2)).toMatchObject({ ok: true });
    const at = ledger.now;
    ledger.now += 5000;
    open(terms, 2);
    // told at once: the contract may be settled before the provider is READY with them
    const early = { exposedAt: at, exposedBy: 1, exposedVersion: 2 };
    expect(keysOf(terms)).toEqual({ version: 1, state: 'unconfirmed', ...early });
    expect(rekey(terms, 2)).toMatchObject({ ok: true });
    expect(keysOf(terms)).toEqual({ version: 2, state: 'unconfirmed', exposedAt: at, exposedBy: 1 });
    expect(rekey(terms, 3)).toMatchObject({ ok: true });
    expect(keysOf(terms)).toEqual({ version: 3, state: 'unconfirmed' });
  });

  test('stays exposed as long as some of the keys that were seen are in it', () => {
    const terms = isReady(makeTerms(1));
    open(terms);
    const seen = { exposedAt: ledger.now, exposedBy: 1 };
    // one device joined anew
    rekeySince(terms, 2, 1);
    expect(keysOf(terms)).toEqual({ version: 2, state: 'unconfirmed', ...seen, exposedVersion: 1 });
    // another: what is left of the old keys came with version 2
    rekeySince(terms, 3, 2);
    expect(keysOf(terms)).toEqual({ version: 3, state: 'unconfirmed' });
    open(terms, 3);
    expect(keysOf(terms)).toMatchObject({ exposedBy: 2 });
    rekeySince(terms, 4, 3);
    open(terms, 4);
    expect(keysOf(terms)).not.toHaveProperty('exposedVersion');
    // opened before the provider was READY with it, and never announced
    open(terms, 5);
    rekeySince(terms, 6, 5);
    expect(keysOf(terms)).toMatchObject({ version: 6, exposedVersion: 5 });
    rekeySince(terms, 7, 6);
    expect(keysOf(terms)).toEqual({ version: 7, state: 'unconfirmed' });
  });

  test('is exposed at the end of the contract', () => {
    const cancelled = isReady(makeTerms(1));
    const consent = {
      ...signDocument(ben, 'antirio/cancel-consent/1', { contractId: cancelled.contractId }),
    };
    ledger.send(ada, {
      type: 'contract/cancel',
      contractId: cancelled.contractId,
      consent: { ...consent, kind: 'antirio/cancel-consent/1' },
    });
    expect(keysOf(cancelled)).toMatchObject({ exposedBy: 'CANCELLED' });
    const expired = isReady(makeTerms(2));
    ledger.now = expired.expiresAt;
    ledger.send(central, { type: 'contract/expire', contractId: expired.contractId });
    expect(keysOf(expired)).toMatchObject({ exposedBy: 'EXPIRED' });
  });

  test('is followed by a newer one only where the customer has signed for it', () => {
    const terms = isReady(makeTerms(1));
    open(terms);
    expect(rekey(terms, 2, ben)).toMatchObject({ ok: false, code: 'unauthenticated' });
    expect(ledger.send(ada, { type: 'contract/rekey', header: sign(ada, terms, 2) })).toMatchObject({
      ok: false,
      code: 'forbidden',
    });
    expect(rekey(terms, 2)).toMatchObject({ ok: true });
    expect(rekey(terms, 1)).toMatchObject({ ok: true, result: { keyVersion: 2 } });
    expect(keysOf(terms)).toEqual({ version: 2, state: 'unconfirmed' });
  });

  test('is confirmed by the customer, for the frames that both edges heard', () => {
    const terms = isReady(makeTerms(1));
    const confirm = (by: Identity, keyVersion: number) =>
      ledger.send(by, { type: 'keys/confirm', contractId: terms.contractId, keyVersion });
    expect(confirm(ben, 1)).toMatchObject({ ok: false });
    expect(confirm(ada, 2)).toMatchObject({ ok: false });
    expect(confirm(ada, 1)).toMatchObject({ ok: true });
    expect(keysOf(terms)).toMatchObject({ state: 'confirmed', confirmedAt: ledger.now });
  });
});

describe('after a handback that nothing is owed for', () => {
  /** Its provider took the epoch from another provider, not from the customer. */
  function unowed(exposed: 'accept' | 'refuse', opened = [1]): ContractTerms {
    const first = isReady(makeTerms(1));
    const set = { set: first.set, provider: cleo.edgeId, slots: { customer: 0, provider: 2 } };
    const terms = makeTerms(2, { ...set, exposed });
    ledger.send(central, validation(terms, ada, cleo));
    ledger.send(cleo, ready(terms));
    ledger.now += 5000;
    ledger.send(central, take(ben, first, 1, { customer: ledger.now }));
    ledger.send(ben, { type: 'epoch/release', setId: 'set-1', epoch: 2, counters: {} });
    const root = ringRootOf(cleo, terms.contractId, 5);
    const { contractId } = terms;
    for (const keyVersion of opened)
      ledger.send(central, { type: 'contract/open', contractId, keyVersion, root });
    ledger.send(central, take(cleo, terms, 2));
    ledger.send(cleo, { type: 'epoch/release', setId: 'set-1', epoch: 3, counters: {} });
    ledger.send(ada, statement(terms, 3, 9));
    expect(ledger.send(cleo, statement(terms, 3, 9))).toMatchObject({ ok: true, result: { agreed: true } });
    return terms;
  }
  const renew = (terms: ContractTerms, version = 2) =>
    ledger.send(cleo, { type: 'contract/rekey', header: sign(ada, terms, version) });

  test('a contract that accepts exposed keys goes on, and is READY again with new ones', () => {
    const terms = unowed('accept');
    expect(lifeOf(terms)).toMatchObject({ life: { state: 'READY_EXPOSED' } });
    expect(renew(terms)).toMatchObject({ ok: true });
    expect(lifeOf(terms)).toMatchObject({ life: { state: 'READY' }, readyAt: ledger.now });
  });

  test('one that refuses them is out of READY until it has new ones', () => {
    const terms = unowed('refuse');
    expect(lifeOf(terms)).toMatchObject({ life: { state: 'HANDED_BACK' } });
    const late = { customer: ledger.now - 1, holder: ledger.now - 1 };
    expect(ledger.send(central, take(cleo, terms, 3, late))).toMatchObject({ ok: false });
    expect(renew(terms)).toMatchObject({ ok: true });
    expect(lifeOf(terms)).toMatchObject({ life: { state: 'READY' } });
    expect(keysOf(terms)).toEqual({ version: 2, state: 'unconfirmed' });
  });

  test.each([
    ['accept', 'READY_EXPOSED'],
    ['refuse', 'HANDED_BACK'],
  ] as const)('one that would %s them is %s with new ones that were opened already', (exposed, state) => {
    const terms = unowed(exposed, [1, 2]);
    expect(renew(terms)).toMatchObject({ ok: true });
    expect(lifeOf(terms)).toMatchObject({ life: { state } });
    expect(keysOf(terms)).toMatchObject({ version: 2, exposedBy: 2 });
    expect(renew(terms, 3)).toMatchObject({ ok: true });
    expect(lifeOf(terms)).toMatchObject({ life: { state: 'READY' } });
  });

  test('one that never gets them expires, and both stakes go back', () => {
    const terms = unowed('refuse');
    ledger.now = terms.expiresAt;
    const expired = ledger.send(central, { type: 'contract/expire', contractId: terms.contractId });
    expect(expired).toMatchObject({ ok: true, result: { paid: { customer: 100, provider: 100 } } });
    expect(invariantProblems(ledger.state)).toEqual([]);
  });
});

describe('wrong keys', () => {
  const signed = (by: Identity, { contractId }: ContractTerms, keyVersion = 1) => {
    const frames = [{ devAddr: '0000000a', fcnt: 7, digest: 'cd'.repeat(32) }];
    const document = signDocument(by, GENUINE_KIND, { contractId, keyVersion, frames });
    return { ...document, kind: GENUINE_KIND } as const;
  };
  const doesNotVerify = (terms: ContractTerms, frame = 0, version = 1) =>
    ({
      kind: 'wrongKeys',
      found: 'doesNotVerify',
      frame,
      header: sign(ada, terms, version),
      genuine: signed(ada, terms, version),
    }) as const;
  const ruled = (terms: ContractTerms, evidence: ReturnType<typeof doesNotVerify>, by = central) =>
    ledger.send(by, {
      ...{ type: 'contract/rule', contractId: terms.contractId },
      ruling: { row: 'customerBreach', evidence },
    });

  test('that were opened are the customer’s breach: both stakes are the provider’s', () => {
    const terms = isReady(makeTerms(1));
    expect(ruled(terms, doesNotVerify(terms))).toMatchObject({ message: 'these keys were not opened' });
    open(terms);
    expect(ruled(terms, doesNotVerify(terms), ben)).toMatchObject({ code: 'forbidden' });
    expect(ruled(terms, doesNotVerify(terms))).toMatchObject({
      ok: true,
      result: { row: 'customerBreach', paid: { customer: 0, provider: 200 } },
    });
    expect(ledger.state.get(`reputation/${ada.edgeId}`)).toEqual({ honoured: 0, breached: 1 });
    expect(invariantProblems(ledger.state)).toEqual([]);
  });

  test('pay the provider all of the rent that is in escrow', () => {
    const terms = isReady(makeTerms(1, { rent: { perHour: 18 } }));
    const { rent = 0 } = contractOf(ledger, terms.contractId).escrow;
    expect(rent).toBeGreaterThan(800);
    open(terms);
    expect(ruled(terms, doesNotVerify(terms))).toMatchObject({
      result: { paid: { customer: 0, provider: 200 + rent }, rent: { prepaid: rent, paid: rent } },
    });
    expect(invariantProblems(ledger.state)).toEqual([]);
  });

  test('are none without the customer’s signatures under both', () => {
    const terms = isReady(makeTerms(1));
    const other = isReady(makeTerms(2));
    open(terms);
    const good = doesNotVerify(terms);
    const bad = [
      { ...good, header: sign(ben, terms, 1) },
      { ...good, header: sign(ada, other, 1) },
      { ...good, header: sign(ada, terms, 2) },
      { ...good, genuine: signed(ben, terms) },
      { ...good, genuine: signed(ada, other) },
      { ...good, genuine: signed(ada, terms, 2) },
      { ...good, frame: 1 },
    ];
    for (const evidence of bad) expect(ruled(terms, evidence).ok).toBe(false);
    expect(lifeOf(terms)).toMatchObject({ life: { state: 'READY' } });
  });
});

describe('a contract that was READY before versions of keys were kept', () => {
  test('goes on, and has its first version when the provider says so', () => {
    const terms = isReady(makeTerms(1));
    const { escrow: _e, exposed: _x, yielding: _y, deaf: _d, ...old } = terms;
    const signatures = { customer: '', provider: '' };
    ledger.state.apply([[keys.terms(terms.contractId), { terms: old, signatures }]]);
    ledger.state.apply([[keys.keys(terms.contractId), undefined]]);
    expect(open(terms)).toMatchObject({ ok: true });
    expect(release(terms, 1, central)).toMatchObject({ ok: true });

    ledger.state.apply([[keys.keys(terms.contractId), undefined]]);
    expect(rekey(terms, 1)).toMatchObject({ ok: true });
    expect(keysOf(terms)).toMatchObject({ version: 1, state: 'unconfirmed' });
  });

  test('is not READY by keys alone', () => {
    const terms = makeTerms(1);
    expect(ledger.send(central, validation(terms, ada, ben))).toMatchObject({ ok: true });
    expect(rekey(terms, 1)).toMatchObject({ ok: false, code: 'conflict' });
  });
});
