import type { EdgeId } from '@antirio/kernel';
import { answersProbe, drawProbes, type ProbeNonces } from './detector.ts';

/** Probes edges on others' behalf, each time with a fresh nonce that only a living edge can answer. Forgotten at a restart. */
export interface WitnessState {
  readonly questions: Readonly<Record<EdgeId, Question>>;
  readonly foundDeadAt: Readonly<Record<EdgeId, number>>;
  /** When the probes were looked at last. */
  readonly lookedAt: number;
}

interface Question extends ProbeNonces {
  readonly since: number;
  /** Of the burst that silence is judged by: `probes` counts those of before a sleep as well. */
  readonly probesSent: number;
  /** Who wants to know: questions about one edge at the same time share the probes. */
  readonly askers: readonly string[];
}

export interface Verdict {
  readonly edge: EdgeId;
  readonly heard: boolean;
  readonly askers: readonly string[];
}

export interface Probe {
  readonly to: EdgeId;
  readonly nonce: string;
}

/** As many as the provider sends itself, in two volleys. */
const PROBES = 8;
const VOLLEY = 4;
const VOLLEY_EVERY_MS = 20;
const PROBE_WAIT_MS = 120;
/** Who did not look for so long was asleep, and cannot tell silence from answers that lie unread. */
const ASLEEP_MS = 100;
const EDGES_KEPT = 1000;

export const silentWitness: WitnessState = { questions: {}, foundDeadAt: {}, lookedAt: -Infinity };

function newQuestion(nonceSecret: string, since: number): Question {
  return { nonceSecret, probes: 0, since, probesSent: 0, askers: [] };
}

/** `secret` is new and unguessable; the nonces come of it where nobody asks about this edge yet. */
export function ask(
  state: WitnessState,
  edge: EdgeId,
  asker: string,
  secret: string,
  now: number,
): WitnessState {
  const known = state.questions[edge] ?? newQuestion(secret, now);
  const question = { ...known, askers: [...known.askers, asker] };
  const idle = Object.keys(state.questions).length === 0;
  const questions = { ...state.questions, [edge]: question };
  return { ...state, questions, lookedAt: idle ? now : state.lookedAt };
}

function without<T>(record: Readonly<Record<EdgeId, T>>, edge: EdgeId): Readonly<Record<EdgeId, T>> {
  return Object.fromEntries(Object.entries(record).filter(([id]) => id !== edge));
}

function conclude(state: WitnessState, edge: EdgeId, heard: boolean, now: number): [WitnessState, Verdict] {
  const askers = state.questions[edge]?.askers ?? [];
  const others = without(state.foundDeadAt, edge);
  const room = Object.keys(others).length < EDGES_KEPT ? others : {};
  const foundDeadAt = heard ? others : { ...room, [edge]: now };
  const questions = without(state.questions, edge);
  return [
    { ...state, questions, foundDeadAt },
    { edge, heard, askers },
  ];
}

/** The probes that are due, and what was found out by their silence. */
export function probing(
  state: WitnessState,
  now: number,
): readonly [WitnessState, readonly Probe[], readonly Verdict[]] {
  const probes: Probe[] = [];
  const verdicts: Verdict[] = [];
  let next = { ...state, lookedAt: now };
  const slept = now - state.lookedAt > ASLEEP_MS;
  for (const [id, asked] of Object.entries(state.questions)) {
    const edge = id as EdgeId;
    const question = slept ? { ...asked, since: now, probesSent: 0 } : asked;
    const { since, probesSent } = question;
    const volley = Math.floor(probesSent / VOLLEY);
    if (now >= since + (PROBES / VOLLEY - 1) * VOLLEY_EVERY_MS + PROBE_WAIT_MS) {
      const [concluded, verdict] = conclude(next, edge, false, now);
      next = concluded;
      verdicts.push(verdict);
    } else if (probesSent < PROBES && now >= since + volley * VOLLEY_EVERY_MS) {
      const [drawn, nonces] = drawProbes(question, VOLLEY);
      const sent = { ...drawn, probesSent: probesSent + VOLLEY };
      next = { ...next, questions: { ...next.questions, [edge]: sent } };
      probes.push(...nonces.map((nonce) => ({ to: edge, nonce })));
    }
  }
  return [next, probes, verdicts];
}

/** An answer to one of a question's newest probes; undefined where it answers none that is open. */
export function probeAnswered(
  state: WitnessState,
  from: EdgeId,
  nonce: string,
  now: number,
): readonly [WitnessState, Verdict] | undefined {
  const question = state.questions[from];
  if (question === undefined || !answersProbe(question, nonce, PROBES)) return undefined;
  return conclude(state, from, true, now);
}

export function foundDead(state: WitnessState, edge: EdgeId, withinMs: number, now: number): boolean {
  const at = state.foundDeadAt[edge];
  return at !== undefined && now - at <= withinMs;
}
