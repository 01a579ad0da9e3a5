import type { ReceiveParameters } from '../region/plan.ts';
import { accepted } from './effects.ts';
import { KEEP, keyOf, withRequest } from './requests.ts';
import type { MacRequest, MacState, TakenRequest, UnsureRequest } from './state.ts';

/** Outcomes of one device that are kept apart; the oldest go. */
export const MOST_UNSURE = 8;
/** Ways of listening that are tried one after the other. */
const MOST_WAYS = 16;

/** Requests that move the windows in which a device listens. */
const MOVES_WINDOWS: ReadonlySet<MacRequest['type']> = new Set([
  'rxParamSetupReq',
  'rxTimingSetupReq',
  'dlChannelReq',
]);

export const isSameRequest = (one: MacRequest, other: MacRequest): boolean =>
  keyOf(one) === keyOf(other) && JSON.stringify(one) === JSON.stringify(other);

/** Whether nothing is left of `earlier` once the device has taken `later`. */
function isReplacedBy(earlier: MacRequest, later: MacRequest): boolean {
  if (keyOf(earlier) !== keyOf(later)) return false;
  if (earlier.type !== 'linkADRReq' || later.type !== 'linkADRReq') return true;
  const sets = (field: 'dataRate' | 'txPower'): boolean => later[field] !== KEEP || earlier[field] === KEEP;
  return sets('dataRate') && sets('txPower');
}

/** What is left of all that was taken, in the order in which it was sent; of those of one downlink the first came first. */
export function newestTaken(all: readonly TakenRequest[]): TakenRequest[] {
  const kept: TakenRequest[] = [];
  for (const one of all.toSorted((a, b) => a.sentAt - b.sentAt)) {
    const left = kept.filter(({ command }) => !isReplacedBy(command, one.command));
    kept.splice(0, kept.length, ...left, one);
  }
  return kept;
}

function withUnsure(state: MacState, unsure: readonly UnsureRequest[]): MacState {
  const { unsure: _unsure, tries = 0, ...rest } = state;
  return unsure.length === 0 ? rest : { ...rest, unsure, tries };
}

/** The device said yes: so it is, whatever it may have taken before. */
export function withTaken(state: MacState, taken: TakenRequest): MacState {
  const { unsure = [] } = state;
  const key = keyOf(taken.command);
  const open = unsure.filter(({ command }) => keyOf(command) !== key);
  const next = unsure.length === open.length ? state : withUnsure(state, open);
  if (taken.command.type === 'devStatusReq') return next;
  return { ...next, taken: newestTaken([...(state.taken ?? []), taken]) };
}

/** The device said no, as it will have done before: what else it may have taken is asked next. */
export function withRefused(state: MacState, refused: MacRequest): MacState {
  const { unsure = [] } = state;
  if (unsure.length === 0) return state;
  const open = unsure.filter(({ command }) => !isSameRequest(command, refused));
  const next = open.findLast(({ command }) => keyOf(command) === keyOf(refused));
  const pending = next === undefined ? state.pending : withRequest(state.pending, next.command);
  return withUnsure({ ...state, pending }, open);
}

export const isUnsure = ({ unsure = [] }: MacState, asked: MacRequest): boolean =>
  unsure.some(({ command }) => keyOf(command) === keyOf(asked));

/** A downlink goes out: the next one is aimed at another outcome. */
export const withTry = (state: MacState): MacState =>
  state.unsure === undefined ? state : { ...state, tries: ((state.tries ?? 0) + 1) % MOST_WAYS };

const movesWindows = ({ command }: { readonly command: MacRequest }): boolean =>
  MOVES_WINDOWS.has(command.type);

/**
 * Whether the device may listen otherwise than the state says: it was asked to and has not answered yet. Of what is in flight its next
 * uplink decides, for these answers are repeated until it hears a downlink; of what is unsure its answer to the same asked again.
 */
export function isListeningOpen({ pending, unsure = [] }: MacState): boolean {
  return pending.some((each) => each.inFlight && movesWindows(each)) || unsure.some(movesWindows);
}

/** Where the device is to be answered next: as is known, or by turns as it may listen too. */
export function listensAs(state: MacState): ReceiveParameters {
  const { unsure = [], tries = 0 } = state;
  let ways: MacState[] = [state];
  for (const requests of Map.groupBy(unsure.filter(movesWindows), ({ command }) => keyOf(command)).values())
    ways = [...ways, ...requests.flatMap(({ command }) => ways.map((way) => accepted(way, command)))].slice(
      0,
      MOST_WAYS,
    );
  return ways[tries % ways.length] ?? state;
}
