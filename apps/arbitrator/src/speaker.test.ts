import { describe, expect, test } from '@jest/globals';
import { generateIdentity, openIdentity, type Identity } from '@antirio/kernel';
import { keys } from '@antirio/ledger-machine';
import { centralFacts } from './central-facts.ts';
import { central, contractId, customer, provider, witness as cloud } from './escrow.fixture.ts';
import { countersignRoot } from './ring-roots.ts';
import { judgeBelowRoot, judgeContradiction } from './root-claims.ts';
import { SILENT_S, SpeakerScene, rootOf, self, terms } from './speaker.fixture.ts';

const scene = new SpeakerScene();
const { balance, clock, contract, ledgerOf, openCloud, openReports, readyNow } = scene;
const { round, rounds, servedUpTo, takenOver } = scene;

describe('who speaks for an edge', () => {
  test('cancels what never became READY once the edge has been silent for as long as it said', async () => {
    await rounds(30, true);
    expect(contract().life.state).toBe('VALIDATED');
    await rounds(9, false);
    expect(contract().life.state).toBe('VALIDATED');
    await rounds(3, false);
    expect(contract().life.state).toBe('CANCELLED');
    expect([balance(customer), balance(provider)]).toEqual([1000, 1000]);
  });

  test('says nothing while it hears the edge itself, or the ledger does, or it has just started', async () => {
    await round(true);
    for (let i = 0; i < 30; i++) {
      scene.now += 60_000;
      await scene.reports.tell();
      await scene.follow.look();
    }
    expect(contract().life.state).toBe('VALIDATED');
    scene.isCut = true;
    for (let i = 0; i < 30; i++) {
      scene.now += 60_000;
      await scene.reports.appoint();
      await expect(scene.reports.tell()).rejects.toThrow(/cut/);
      await scene.follow.look();
    }
    expect(contract().life.state).toBe('VALIDATED');
    scene.now += SILENT_S * 1000;
    scene.book.close();
    openCloud();
    await rounds(9, false);
    expect(contract().life.state).toBe('VALIDATED');
    await rounds(2, false);
    expect(contract().life.state).toBe('CANCELLED');
  });

  test('is nobody where the edge names nobody, and is so again once it does not any more', async () => {
    await rounds(2, true);
    await openReports(false).appoint();
    expect(scene.state.get(keys.speaker(self))).toBeUndefined();
    await rounds(30, false);
    expect(contract().life.state).toBe('VALIDATED');
  });

  test('tells the ledger four times in a silence that the edge lives, and no oftener', async () => {
    await rounds(60, true);
    const said = 60 / (SILENT_S / 60 / 4);
    expect(scene.height).toBeGreaterThan(said - 6);
    expect(scene.height).toBeLessThan(said + 10);
  });

  test('claims where the provider states less than it had signed for when it opened', async () => {
    await readyNow();
    await round(true);
    await servedUpTo(39);
    await rounds(9, false);
    expect(contract().life.state).toBe('RETURNING');
    await rounds(3, false);
    expect(contract()).toMatchObject({ settlement: { row: 'providerBreach', reason: 'statementBelowRoot' } });
    expect([balance(customer), balance(provider)]).toEqual([1100, 900]);
  });

  test('claims where the provider’s opening contradicts a root that the edge had signed', async () => {
    await readyNow();
    countersignRoot({ identity: customer, store: scene.store, clock }, terms, rootOf(40, 38));
    await rounds(2, true);
    await servedUpTo(50);
    await rounds(12, false);
    expect(contract()).toMatchObject({ settlement: { row: 'providerBreach', reason: 'contradictingRoots' } });
  });

  test('claims nothing at the centre while the provider serves, and puts no refusal on the ledger by it', async () => {
    await readyNow();
    await round(true);
    await takenOver();
    scene.now += SILENT_S * 1000;
    const before = scene.height;
    const roots: [ReturnType<typeof rootOf>, ReturnType<typeof rootOf>] = [rootOf(40), rootOf(40, 39)];
    const ledger = ledgerOf(central);
    const asking = { peer: cloud.edgeId, now: scene.now };
    const facts = centralFacts(ledger, clock);
    await expect(judgeContradiction(facts, ledger, asking, { contractId, roots })).rejects.toThrow(/serves/);
    await expect(judgeBelowRoot(facts, ledger, asking, { contractId })).rejects.toThrow(/serves/);
    expect(scene.height).toBe(before);
  });

  test('leaves an honest provider alone', async () => {
    await readyNow();
    countersignRoot({ identity: customer, store: scene.store, clock }, terms, rootOf(12));
    await rounds(2, true);
    await servedUpTo(50);
    await rounds(30, false);
    expect(contract().life.state).toBe('RETURNING');
    expect(contract().settlement).toBeUndefined();
  });

  test('is judged by the appointment: a stranger, the provider, and who is not silent claim nothing', async () => {
    await readyNow();
    await round(true);
    await servedUpTo(39);
    const facts = centralFacts(ledgerOf(central), clock);
    const judge = (by: Identity) =>
      judgeBelowRoot(facts, ledgerOf(central), { peer: by.edgeId, now: scene.now }, { contractId });
    await expect(judge(openIdentity(generateIdentity()))).rejects.toMatchObject({ code: 'forbidden' });
    await expect(judge(provider)).rejects.toMatchObject({ code: 'forbidden' });
    await expect(judge(cloud)).rejects.toMatchObject({ code: 'conflict' });
    expect(await judge(customer)).toEqual({ ruled: 'statementBelowRoot' });
  });

  test('ends what is over by its time', async () => {
    await readyNow();
    await round(true);
    scene.now = terms.expiresAt + 3_600_000;
    await rounds(2, false);
    expect(contract()).toMatchObject({ settlement: { row: 'expired' } });
    expect([balance(customer), balance(provider)]).toEqual([1000, 1000]);
  });
});
