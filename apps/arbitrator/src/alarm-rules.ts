import {
  gapOf,
  gapState,
  isOver,
  keepsOnly,
  type ContractTerms,
  type Drill,
  type FullDrill,
} from '@antirio/service-contract';
import type { DeviceGap } from './counter-gaps.ts';
import { frameConflictTrouble, type FrameConflict } from './frame-conflicts.ts';
import { volumeTroubles, type VolumeFacts } from './volume-alarms.ts';

/** What an operator is woken for. Each has a page in docs/runbooks. */
export const ALARMS = [
  'noReadyProvider',
  'degraded',
  'unsealed',
  'exposed',
  'drops',
  'conflict',
  'leaseLost',
  'endingWhileActive',
  'grantorDown',
  'held',
  'ledgerRolledBack',
  'notForwarded',
  'drillFailed',
  'countersNearLimit',
  'volumes',
  'volumeConflict',
  'ringBeganAnew',
  'roomSilent',
] as const;
export type AlarmName = (typeof ALARMS)[number];

/** One thing that is wrong now. `about` is the contract, ring or device. */
export interface Trouble {
  readonly name: AlarmName;
  readonly about: string;
  readonly detail: string;
}

/** A contract as this edge sees it, for the rules. Times in ms. */
export interface ContractFacts {
  readonly terms: ContractTerms;
  readonly role: 'customer' | 'provider';
  readonly phase: string;
  /** Whether the machine would open the fence now. */
  readonly mayAct: boolean;
  /** For how long it has been to act, and could not. */
  readonly cannotActForMs: number;
  readonly held: boolean;
  /** What the ledger says; undefined where it was not reached. */
  readonly ledger:
    | {
        readonly state: string;
        /** Whether the keys that the contract lives with now have been seen. */
        readonly exposed: boolean;
        readonly disputed: boolean;
        /** The first of what the two statements differ in. */
        readonly differs?: string | undefined;
        /** What was heard in the outage may still be claimed; meanwhile the customer is served as before. */
        readonly claimable?: boolean;
      }
    | undefined;
  /** A customer's: ms since its provider said that it stands by, or since our start. */
  readonly providerSilentMs?: number | undefined;
  /** Sessions that joins made and the provider has not got. */
  readonly unsealed?: readonly { readonly devEui: string; readonly why: string }[];
  /** How much longer the provider that has the epoch may act under it. */
  readonly activeLeftMs?: number | undefined;
  /** Of the contract's own ring. */
  readonly dropped: number;
  /** A DevAddr that another set at this edge had first. */
  readonly collides?: string | undefined;
  /** Rooms of this edge without which it serves nobody, and that do not answer or cannot store. */
  readonly roomsOut?: readonly string[];
  /** In how many lives the provider's ring has been seen. */
  readonly ringLives?: number;
  /** The sensors surely hear too little of the provider, by what the terms ask for. */
  readonly sensorsDeaf?: boolean;
  /** The newest drill, where the terms demand any. */
  readonly drill?: Pick<Drill, 'number' | 'state' | 'reason' | 'penalty'> | undefined;
  /** The same of those with the real keys. */
  readonly fullDrill?: Pick<FullDrill, 'number' | 'state' | 'reason' | 'penalty'> | undefined;
  /** What becomes of its readings at the customer's cloud, where that is this edge's to do. */
  readonly forwarding?: ForwardingFacts | undefined;
}

export interface ForwardingFacts {
  readonly state: string;
  /** Readings that were given up, by the receiver or for want of room. */
  readonly lost: number;
}

export interface EdgeFacts {
  readonly contracts: readonly ContractFacts[];
  /** Sensors near the end of the downlink counters that they surely take. */
  readonly counterGaps?: readonly DeviceGap[];
  /** Devices with two genuine frames under one counter. */
  readonly frameConflicts?: readonly FrameConflict[];
  /** Of contracts with volumes, also of some that are over. */
  readonly volumes?: readonly VolumeFacts[];
  /** Whether this edge has a service of its own to protect. */
  readonly protects: boolean;
  /** Frames that the own ring had no room for. */
  readonly dropped: number;
  /** Since when the ledger has not been reached; undefined where it is. */
  readonly grantorDownForMs: number | undefined;
  /** Sensors that get no further block of downlink counters before the grantor is back. */
  readonly sensorsWithoutBlocks?: number;
  readonly now: number;
}

const NEAR_END_MS = 3_600_000;
const GRANTOR_PATIENCE_MS = 10_000;
/** After a start, or a takeover, nobody acts for a while. */
const LEASE_PATIENCE_MS = 20_000;
/** A provider says twice a second that it is there; a short break of the network wakes nobody. */
const PROVIDER_PATIENCE_MS = 60_000;

const active: ReadonlySet<string> = new Set(['reading', 'active', 'recovering', 'yielded']);
const guarding: ReadonlySet<string> = new Set([
  'guarded',
  'yielding',
  'yielded',
  'recovering',
  'retaken',
  'stating',
  'stated',
]);
const acting: ReadonlySet<string> = new Set(['guarded', 'yielding', 'active', 'retaken']);

/** Whether who is in this phase is to act; whoever stands by lacks nothing. */
export const isToAct = (phase: string): boolean => acting.has(phase);

function notForwarded({ forwarding }: ContractFacts): string | undefined {
  if (forwarding === undefined) return undefined;
  const { state, lost } = forwarding;
  if (state === 'revoked') return 'the customer’s cloud refuses our login: nothing more is forwarded';
  if (state === 'notAllowed')
    return 'the customer’s cloud is in a network where this edge forwards nothing to (coreData.forwardingHosts)';
  return lost > 0 ? `${lost} readings were given up before the customer’s cloud took them` : undefined;
}

function endingWhileActive({ phase, terms, activeLeftMs }: ContractFacts, now: number): string | undefined {
  const { maxActiveS, expiresAt } = terms;
  if (phase === 'ended') return undefined;
  if (activeLeftMs === 0)
    return `the provider has served for ${maxActiveS} s and acts no more: nobody does until the customer takes its sensors back`;
  if (activeLeftMs !== undefined && activeLeftMs < Math.min(NEAR_END_MS, maxActiveS * 250))
    return `the provider acts for ${Math.ceil(activeLeftMs / 1000)} s more, then nobody does (maxActiveS)`;
  if (!active.has(phase) || expiresAt - now >= NEAR_END_MS) return undefined;
  const at = new Date(expiresAt).toISOString();
  return expiresAt > now
    ? `the contract ends at ${at}: the provider goes on serving, and after the return nobody stands by under it`
    : `the contract would have ended at ${at}: the provider goes on serving, and the contract is over with the return`;
}

/** Of a full drill that came to nothing by nobody's wish: the provider may not be able to take over. */
const UNSERVED: ReadonlySet<string> = new Set(['notOpened', 'notRead', 'notTaken', 'lapsed', 'declined']);

function fullDrillFailed({ fullDrill }: ContractFacts): string | undefined {
  const { number = 0, reason = '', penalty = 0 } = fullDrill ?? {};
  if (!UNSERVED.has(reason)) return undefined;
  return `full drill ${number} came to nothing (${reason}); the provider paid ${penalty}`;
}

function drillFailed(facts: ContractFacts): string | undefined {
  const { drill, phase } = facts;
  if (phase === 'ended') return undefined;
  const full = fullDrillFailed(facts);
  if (drill === undefined || full !== undefined) return full;
  const { number, state, reason = 'unknown', penalty = 0 } = drill;
  const silent = state === 'void' && reason === 'holdersSilent';
  if (state !== 'failed' && !silent) return undefined;
  return `drill ${number} came to nothing (${reason}); the provider paid ${penalty}`;
}

type Rule = (one: ContractFacts, now: number) => string | undefined;

const contractRules: { readonly [N in AlarmName]?: Rule } = {
  degraded({ ledger, role, sensorsDeaf = false }) {
    if (ledger?.state !== 'DEGRADED') return undefined;
    if (sensorsDeaf) return 'too few sensors hear the provider: what they are sent in a failure is lost';
    const whose = role === 'provider' ? 'our gateways are' : "the provider's gateways are";
    return `${whose} silent: what only they would have heard is lost in a failure`;
  },
  unsealed({ phase, role, unsealed = [] }) {
    if (active.has(phase) && phase !== 'yielded')
      return `the keys are open at ${role === 'provider' ? 'this edge' : 'the provider'}`;
    const [first] = unsealed;
    if (first === undefined) return undefined;
    const count = new Set(unsealed.map(({ devEui }) => devEui)).size;
    return `the provider cannot go on with ${count} devices that joined: ${first.devEui}: ${first.why}`;
  },
  exposed({ ledger, phase, terms }) {
    if (ledger === undefined || phase === 'ended') return undefined;
    // The end itself counts as an exposure, on the ledger: nobody has opened anything, and the machine will have heard of it in a moment.
    if (isOver(ledger)) return undefined;
    const opened = ledger.exposed || ledger.state === 'READY_EXPOSED';
    if (!opened) return undefined;
    return terms.rootKeys === true
      ? 'the root keys have been opened: no join renews them, only other root keys with another keyVersion do'
      : 'the keys have been opened, and are still in use: renew them';
  },
  drops({ dropped, role }) {
    const whose = role === 'provider' ? 'our' : "the provider's";
    return dropped > 0 ? `${dropped} frames had no room in ${whose} ring of the contract` : undefined;
  },
  ringBeganAnew: ({ ringLives = 0, phase, role }) =>
    ringLives > 1 && phase !== 'ended'
      ? `${role === 'provider' ? 'our ring' : 'the provider’s ring'} for it has begun anew, ${ringLives - 1} times: what it had heard before is gone`
      : undefined,
  roomSilent: ({ roomsOut = [], phase }) =>
    roomsOut.length > 0 && guarding.has(phase)
      ? `${roomsOut.join(', ')}: no answer, or no room for readings: nothing is collected or read here`
      : undefined,
  conflict: ({ ledger }) =>
    ledger?.disputed === true
      ? ['the two statements differ', ...(ledger.differs === undefined ? [] : [ledger.differs])].join(': ')
      : undefined,
  leaseLost: ({ phase, mayAct, cannotActForMs, collides }) => {
    if (collides !== undefined && phase !== 'ended')
      return `another set at this edge has the DevAddr ${collides}: nothing goes to this set’s sensor that has it too`;
    return isToAct(phase) && !mayAct && cannotActForMs > LEASE_PATIENCE_MS
      ? `no lease for ${Math.round(cannotActForMs / 1000)} s: nothing of ours goes on air`
      : undefined;
  },
  endingWhileActive,
  notForwarded,
  drillFailed,
  held: ({ held, phase }) =>
    held && phase !== 'ended' ? 'nothing is taken over, or comes back, by itself' : undefined,
};

/** Where nobody takes over under the contract: its provider hears nothing, or it is not settled what that handed back. */
function takesNone(ledger: ContractFacts['ledger']): boolean {
  if (ledger?.state === 'HANDED_BACK') return ledger.claimable !== true;
  return ledger?.state === 'DEGRADED';
}

/** Whether a provider of ours is there, and hears: one that has gone says nothing to the ledger. */
function isThere({ role, phase, ledger, providerSilentMs = 0 }: ContractFacts): boolean {
  const hears = providerSilentMs <= PROVIDER_PATIENCE_MS && !takesNone(ledger);
  return role === 'customer' && guarding.has(phase) && hears;
}

/** Whether somebody would take over, or has. */
const isProtected = (one: ContractFacts): boolean => isThere(one) && !keepsOnly(one.terms);

const ONLY_KEPT = ': a relay contract keeps its frames, and nobody would take over';
const isKept = (one: ContractFacts): boolean => isThere(one) && keepsOnly(one.terms);

function withoutBlocks(sensors = 0): string {
  return sensors === 0 ? '' : `; ${sensors} sensors have no downlink counters left, and are sent nothing`;
}

function edgeTroubles(facts: EdgeFacts): Trouble[] {
  const { contracts, protects, dropped, grantorDownForMs } = facts;
  const found: Trouble[] = [];
  if (protects && !contracts.some(isProtected))
    found.push({
      ...{ name: 'noReadyProvider', about: 'edge' },
      detail: `no provider stands by for our service${contracts.some(isKept) ? ONLY_KEPT : ''}`,
    });
  if (dropped > 0)
    found.push({ name: 'drops', about: 'own', detail: `${dropped} frames had no room in our ring` });
  if (grantorDownForMs !== undefined && grantorDownForMs > GRANTOR_PATIENCE_MS)
    found.push({
      name: 'grantorDown',
      about: 'central',
      detail: `not reached for ${Math.round(grantorDownForMs / 1000)} s: who lacks the promise of one of its set's parties falls silent${withoutBlocks(facts.sensorsWithoutBlocks)}`,
    });
  return found;
}

function counterTrouble(gap: DeviceGap): Trouble {
  const silent = gapState(gap) === 'exhausted' ? '; downlinkExhausted: nothing is sent to it' : '';
  const detail = `${gapOf(gap)} downlink counters since it last proved that it hears us${silent}`;
  return { name: 'countersNearLimit', about: gap.devAddr, detail };
}

/** Everything that is wrong, by the facts alone. */
export function findTroubles(facts: EdgeFacts): Trouble[] {
  const everyS = new Map(
    facts.contracts.flatMap(({ terms: { contractId, volumes } }) =>
      volumes === undefined ? [] : [[contractId, volumes.everyS] as const],
    ),
  );
  const found = [
    ...edgeTroubles(facts),
    ...(facts.counterGaps ?? []).map(counterTrouble),
    ...(facts.frameConflicts ?? []).map(frameConflictTrouble),
    ...volumeTroubles(facts.volumes ?? [], everyS),
  ];
  for (const one of facts.contracts)
    for (const [name, rule] of Object.entries(contractRules) as [AlarmName, Rule][]) {
      const detail = rule(one, facts.now);
      if (detail !== undefined) found.push({ name, about: one.terms.contractId, detail });
    }
  return found;
}
