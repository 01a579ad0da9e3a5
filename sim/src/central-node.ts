import type { EdgeId } from '@antirio/kernel';
import { awaitsOpening, stoodByAt, type SignedTx } from '@antirio/ledger-machine';
import type { centralStep, neverTookOver, nextBlock, sight } from '@antirio/service-contract';
import {
  DEFAULT_LEASE_MS,
  createCentral,
  grantedSet,
  isDrillWord,
  isWordNow,
  keepsOnly,
  partiesIn,
  type ActsWord,
  type CentralAnswer,
  type CentralEffect,
  type CentralEvent,
  type CentralQuestion,
  type CentralState,
  type ContractRecord,
  type ContractTerms,
  type Datagram,
  type LeaseFacts,
  type LedgerSight,
  type SignedWord,
  type Submission,
} from '@antirio/service-contract';
import type { Host } from './host.ts';
import { identities } from './identities.ts';
import { disputeEnds, rekeyingNow } from './rekeying.ts';
import { sign, type Payload, type SimLedger } from './ledger.ts';
import { believesIn, ledgerView, promisedBy, says, type SetRecord } from './ledger-view.ts';
import type { CallResult, Reply } from './network.ts';
import { expiryOf } from './expiring.ts';
import type { Dice } from './random.ts';
import { reserveBlocks, type CounterRecords } from './reservations.ts';
import type { Trace } from './trace.ts';

/** What the centre keeps on its disk besides the ledger. */
export interface CentralDisk extends CounterRecords {
  /** The highest block of the ledger that was seen. */
  seen: LedgerSight | undefined;
  /** Contracts whose key share is held. */
  readonly shares: Set<string>;
  /** It opens nothing, as one that is away while its ledger runs elsewhere. */
  mute: boolean;
}

export interface CentralPieces {
  readonly centralStep: typeof centralStep;
  readonly nextBlock: typeof nextBlock;
  readonly sight: typeof sight;
  readonly neverTookOver: typeof neverTookOver;
}

export interface CentralPorts {
  readonly host: Host;
  readonly trace: Trace;
  readonly dice: Dice;
  /** All of one set. */
  readonly contracts: readonly [ContractTerms, ...ContractTerms[]];
  readonly ledger: SimLedger;
  readonly disk: CentralDisk;
  readonly pieces: CentralPieces;
  /** How long the ledger takes to apply a transaction, ms. */
  readonly ledgerMs: number;
  readonly send: (to: EdgeId, datagram: Datagram) => void;
  /** The grantor has given a block. */
  readonly onGiven: (devAddr: string, index: number) => void;
  /** The centre has had this written to the ledger. */
  readonly onRecorded: (payload: Payload) => void;
  readonly onRuling: (overMs: number, provider: EdgeId) => void;
}

export interface CentralNode {
  start(): void;
  state(): CentralState;
  onDatagram(from: EdgeId, datagram: Datagram): void;
  witness(contractId: string, reply: Reply<unknown>): void;
  keyShare(contractId: string, reply: Reply<unknown>): void;
  open(
    contractId: string,
    root: Extract<Payload, { type: 'contract/open' }>['root'],
    word: SignedWord | undefined,
    reply: Reply<unknown>,
  ): void;
  acts(contractId: string, word: ActsWord, reply: Reply<unknown>): void;
  take(by: EdgeId, request: Extract<Payload, { type: 'epoch/take' }>['request'], reply: Reply<unknown>): void;
  record(contractId: string, reply: Reply<unknown>): void;
  transact(tx: SignedTx, reply: Reply<unknown>): void;
}

interface Asker {
  readonly reply: Reply<unknown>;
  readonly payloadOf: (submission: Submission) => Payload | undefined;
}

/** Looks at every contract again and again, while the ledger is believed. */
function sweep(
  host: Host,
  believes: () => boolean,
  contracts: readonly ContractTerms[],
  looks: readonly ((terms: ContractTerms) => void)[],
): void {
  host.after(SWEEP_MS, () => {
    sweep(host, believes, contracts, looks);
    if (believes()) for (const look of looks) contracts.forEach(look);
  });
}

const TICK_MS = 10;
const SWEEP_MS = 1000;
export function createCentralNode(ports: CentralPorts): CentralNode {
  const { host, trace, dice, contracts, ledger, disk, pieces } = ports;
  const [first] = contracts;
  const { leaseMs, set } = first;
  const setView = ledgerView(ledger, first);
  const termsOf = (contractId: string): ContractTerms =>
    contracts.find((terms) => terms.contractId === contractId) ?? first;
  let state: CentralState = createCentral('', 0);
  let askers = new Map<string, Asker>();
  let asked = 0;
  let ticking = false;

  /** The ledger is another room of this host. */
  const later = (run: () => void): void => {
    host.after(dice.between(0.3, 3), run);
  };
  const nonce = (): string => dice.bits().toString(16) + dice.bits().toString(16);

  const believes = (): boolean => believesIn(ledger, disk, pieces);
  /** Serves where the ledger is believed. */
  const believing =
    <A extends unknown[]>(serve: (...args: A) => void) =>
    (...args: A): void => {
      if (believes()) serve(...args);
      else (args.at(-1) as Reply<unknown>)({ ok: false, code: 'unavailable' });
    };
  const apply = (tx: SignedTx): CallResult<unknown> => {
    const receipt = ledger.submit(tx, host.clock.wall());
    trace.note('ledger', tx.body.payload.type, () =>
      receipt.ok ? JSON.stringify(receipt.result) : `refused: ${receipt.message}`,
    );
    believes();
    host.wrote('ledger');
    return receipt.ok ? { ok: true, value: receipt.result } : { ok: false, code: receipt.code };
  };
  const submit = (id: string, submission: Submission): void => {
    const payload = askers.get(id)?.payloadOf(submission);
    if (payload === undefined) return;
    const tx = sign(identities.central, dice, payload);
    host.after(ports.ledgerMs * dice.between(0.5, 1.5), () => {
      const { ok } = apply(tx);
      if (ok) ports.onRecorded(payload);
      later(() => {
        post({ type: 'recorded', id, ok });
      });
    });
  };
  const execute = (effect: CentralEffect): void => {
    switch (effect.type) {
      case 'send':
        ports.send(effect.to, effect.datagram);
        return;
      case 'grant': {
        const blocks = reserveBlocks(effect.reserve, disk, host, pieces.nextBlock, ports.onGiven);
        ports.send(effect.to, { kind: 'leaseGrant', body: { ...effect.body, blocks } });
        return;
      }
      case 'submit':
        submit(effect.id, effect.submission);
        return;
      case 'answer': {
        const asker = askers.get(effect.id);
        askers.delete(effect.id);
        asker?.reply(resultOf(effect.answer));
      }
    }
  };
  const post = (event: CentralEvent): void => {
    const [next, effects] = pieces.centralStep(state, event, { now: host.clock.monotonic(), nonce });
    state = next;
    effects.forEach(execute);
    tick();
  };
  /** The clock is looked at only while somebody is probed; nothing else waits for it. */
  const tick = (): void => {
    if (ticking || Object.keys(state.witness.questions).length === 0) return;
    ticking = true;
    host.after(TICK_MS, () => {
      ticking = false;
      post({ type: 'tick' });
    });
  };
  const ask = (question: CentralQuestion, asker: Asker): void => {
    asked += 1;
    const id = String(asked);
    askers.set(id, asker);
    post({ type: 'asked', id, question });
  };
  const partiesOf = ({ contracts: live }: SetRecord): EdgeId[] => [
    ...new Set([first.customer, ...partiesIn(live.map(termsOf))]),
  ];
  const leaseFacts = (from: EdgeId): LeaseFacts => {
    const { contracts: live, slots } = setView.setRecord();
    return {
      servedOut: setView.servedOut(termsOf, host.clock.wall()),
      record: setView.epochRecord(),
      leaseMs: live.length === 0 ? DEFAULT_LEASE_MS : leaseMs,
      slot: slots[from],
    };
  };
  const judge = (terms: ContractTerms): void => {
    const { promise, acts } = grantedSet(state.grantor, set.setId);
    const { contractId, provider } = terms;
    const contract = ledgerView(ledger, terms).contract();
    const overMs = pieces.neverTookOver(
      terms,
      contract.life.state,
      setView.epochRecord(),
      promise,
      host.clock.monotonic(),
      acts,
    );
    if (overMs === undefined) return;
    const customerLeaseEndedAt = Math.floor(host.clock.wall() - overMs);
    if (!stoodByAt(contract, customerLeaseEndedAt)) return;
    const evidence = { kind: 'neverTookOver' as const, customerLeaseEndedAt, details: {} };
    const ruling: Payload = {
      type: 'contract/rule',
      contractId,
      ruling: { row: 'providerBreach', evidence },
    };
    if (apply(sign(identities.central, dice, ruling)).ok) ports.onRuling(overMs, provider);
  };
  const end = (terms: ContractTerms): void => {
    const payload = expiryOf(ledger, terms, host.clock.wall());
    if (payload !== undefined) apply(sign(identities.central, dice, payload));
  };
  const endedAt = (msAgo: number | null): number | null =>
    msAgo === null ? null : Math.floor(host.clock.wall() - msAgo);

  return {
    start() {
      state = createCentral(nonce(), host.clock.monotonic());
      askers = new Map();
      ticking = false;
      sweep(host, believes, contracts, [judge, end]);
    },
    state: () => state,
    onDatagram(from, datagram) {
      if (datagram.kind === 'probeReply') post({ type: 'probeReply', from, nonce: datagram.body.nonce });
      if (datagram.kind !== 'leaseRequest') return;
      const receivedAt = host.clock.monotonic();
      const request = datagram.body;
      later(() => {
        if (!believes()) return;
        const facts = leaseFacts(from);
        later(() => {
          post({ type: 'leaseRequest', from, request, facts, receivedAt });
        });
      });
    },
    witness(contractId, reply) {
      ask(
        { method: 'witness', customer: termsOf(contractId).customer },
        { reply, payloadOf: () => undefined },
      );
    },
    keyShare: believing((contractId, reply) => {
      disk.shares.add(contractId);
      host.wrote('key share');
      reply({ ok: true, value: { keyVersion: 1 } });
    }),
    open: believing((contractId, root, word, reply) => {
      if (disk.mute) {
        reply({ ok: false, code: 'unavailable' });
        return;
      }
      const terms = termsOf(contractId);
      const view = ledgerView(ledger, terms);
      later(() => {
        const life = view.contract().life.state;
        if (life === 'SETTLED') {
          reply({ ok: false, code: 'gone' });
          return;
        }
        // who only keeps frames has no keys, and is told so by the machine
        if (terms.opening === 'witnessed' && !keepsOnly(terms) && !disk.shares.has(contractId)) {
          reply({ ok: false, code: 'conflict' });
          return;
        }
        const record = view.epochRecord();
        const give: Reply<unknown> = (result) => {
          const held = disk.shares.has(contractId) ? [identities.central.edgeId] : [];
          const releases = held.map((holder) => ({ holder, share: 'central' }));
          const opening = view.contract().openings;
          reply(result.ok ? { ok: true, value: { opening, releases } } : result);
        };
        const payloadOf = (): Payload => ({
          type: 'contract/open',
          contractId,
          root,
          keyVersion: 1,
          evidence: word === undefined ? {} : { word: word.body.cause },
        });
        later(() => {
          const drilled = word !== undefined && isDrillWord(word);
          const stale = drilled && awaitsOpening(view.contract(), view.fullDrill());
          const question = { method: 'open', terms, life, record, stale } as const;
          const said =
            word !== undefined && isWordNow(word, terms, record, host.clock.wall()) ? 'counts' : 'stale';
          ask(word === undefined ? question : { ...question, word: said }, { reply: give, payloadOf });
        });
      });
    }),
    acts: believing((contractId, word, reply) => {
      later(() => {
        const isSo = says(word, termsOf(contractId), setView.epochRecord());
        if (isSo) post({ type: 'acts', leaseMs, ...word.body });
        reply(isSo ? { ok: true, value: {} } : { ok: false, code: 'forbidden' });
      });
    }),
    take: believing((by, request, reply) => {
      const terms = termsOf(request.body.contractId);
      later(() => {
        const record = setView.epochRecord();
        const payloadOf = (submission: Submission): Payload | undefined =>
          submission.kind === 'take'
            ? {
                type: 'epoch/take',
                request,
                customerLeaseEndedAt: endedAt(submission.customerLeaseEndedMsAgo),
                holderLeaseEndedAt: endedAt(submission.holderLeaseEndedMsAgo),
                evidence: {},
              }
            : undefined;
        const expected = request.body.epoch;
        later(() => {
          const servedOut = setView.servedOut(termsOf, host.clock.wall());
          ask({ method: 'take', terms, record, by, expected, servedOut }, { reply, payloadOf });
        });
      });
    }),
    // three reads, between which the ledger may go on
    record: believing((contractId, reply) => {
      const view = ledgerView(ledger, termsOf(contractId));
      later(() => {
        const contract = view.contract();
        const { life, activation, rekeying, dispute } = contract;
        later(() => {
          const record = { state: life.state, ...view.epochRecord() };
          later(() => {
            const handback = activation && view.handbackOf(activation.epoch);
            const now = host.clock.monotonic();
            const promised = promisedBy(state, first, record, now);
            const wall = host.clock.wall();
            const activeForMs = activation && Math.max(0, Math.round(wall - activation.at));
            const time = Math.max(0, Math.floor(wall));
            const disputed = dispute && { dispute: [...dispute], ...disputeEnds(contract, view.terms, wall) };
            const served = { activation: activation?.epoch, activeForMs, handback, time, ...disputed };
            const waits = rekeyingNow(rekeying, wall);
            const parties = partiesOf(setView.setRecord());
            const value: ContractRecord = { ...record, ...promised, ...served, ...waits, parties };
            reply({ ok: true, value });
          });
        });
      });
    }),
    transact: believing((tx, reply) => {
      host.after(ports.ledgerMs * dice.between(0.5, 1.5), () => {
        const result = apply(tx);
        later(() => {
          reply(result);
        });
      });
    }),
  };
}

function resultOf(answer: CentralAnswer): CallResult<unknown> {
  switch (answer.kind) {
    case 'opened':
      return { ok: true, value: {} };
    case 'witness':
      return { ok: true, value: { heard: answer.heard } };
    case 'taken':
      return { ok: true, value: { epoch: answer.epoch, actAfterMs: answer.actAfterMs } };
    case 'failed':
      return { ok: false, code: 'conflict' };
    case 'refused': {
      const { reason, retryInMs } = answer;
      return { ok: false, code: reason, ...(retryInMs === undefined ? {} : { retryInMs }) };
    }
  }
}
