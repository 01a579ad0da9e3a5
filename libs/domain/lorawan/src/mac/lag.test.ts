import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import {
  broughtHome,
  eu868,
  listensAs,
  macStep,
  newMacState,
  parseMacState,
  type MacRequest,
  type MacState,
  type MacStep,
  type UplinkHeard,
} from '../index.ts';
import { deviceModel, type DeviceModel } from './device-model.fixture.ts';
import { taking, throughTheAir, turns, type Turn } from './lossy-air.fixture.ts';
import { keyOf } from './requests.ts';

const fresh: MacState = { ...newMacState(eu868, { adr: false }), number: 0 };

/** One who serves the device, or only hears it. */
interface Edge {
  state: MacState;
  /** Requests of which this edge has given up hearing: the device's own word is missing. */
  readonly givenUp: Set<string>;
}
const edge = (state: MacState): Edge => ({ state, givenUp: new Set() });

interface Scene {
  readonly device: DeviceModel;
  fcnt: number;
}

const ORIGINAL = [868_100_000, 868_300_000, 868_500_000];
const isMoved = ([index = 0, frequency]: readonly number[]): boolean => ORIGINAL[index] !== frequency;

function windows({ reception }: DeviceModel): object {
  const { moved, ...rest } = reception();
  return { ...rest, moved: [...moved].toSorted().filter(isMoved) };
}

function aimedAt(state: MacState): object {
  const { rx1DelayS, rx1DrOffset, rx2, channels } = listensAs(state);
  const moved = channels
    .flatMap((each, i) => (each?.downlinkFrequency === undefined ? [] : [[i, each.downlinkFrequency]]))
    .filter(isMoved);
  return { rx1DelayS, rx1DrOffset, rx2, moved };
}

function hear(one: Edge, uplink: UplinkHeard): MacStep {
  const step = macStep(eu868, one.state, uplink);
  one.state = step.state;
  for (const note of step.notes) if (note.type === 'gaveUp') one.givenUp.add(keyOf(note.command));
  return step;
}

/** The next uplink: `by` acts, the others hear it where the air lets them; an answer is heard only where the device listens. */
function turn(
  scene: Scene,
  by: Edge,
  heardBy: readonly Edge[],
  { asked, uplinkHeard, downlinkHeard }: Turn,
): void {
  const { device } = scene;
  if (asked !== undefined) by.state = asking(by.state, asked);
  const { dataRate } = device.sending();
  const uplink: UplinkHeard = {
    ...{ type: 'uplink', fcnt: scene.fcnt, dataRate, bestSnr: 0, gatewayCount: 1 },
    ...{ adr: false, adrAckReq: false, macCommands: device.uplink() },
  };
  scene.fcnt += 1;
  for (const one of heardBy) hear(one, { ...uplink, maxAnswerBytes: 0 });
  if (!uplinkHeard) return;
  const { state, answers, mustAnswer } = hear(by, uplink);
  const isHeard = mustAnswer && downlinkHeard;
  if (isHeard && isSame(aimedAt(state), windows(device))) device.downlink(throughTheAir(answers));
}

const isSame = (one: unknown, other: unknown): boolean => JSON.stringify(one) === JSON.stringify(other);

/** What the network may not ask, it does not. */
function asking(state: MacState, command: MacRequest): MacState {
  try {
    return macStep(eu868, state, { type: 'request', command }).state;
  } catch {
    return state;
  }
}

const isOpen = ({ pending, unsure = [] }: MacState, key: string): boolean =>
  [...pending, ...unsure].some(({ command }) => keyOf(command) === key);

type IsKnown = (key: string) => boolean;

function expectChannels({ channels }: MacState, device: DeviceModel, isKnown: IsKnown): void {
  for (const i of [0, 1, 2, 3, 4].filter((each) => isKnown(`newChannelReq ${each}`))) {
    const [known, real] = [channels[i] ?? undefined, device.channels().get(i)];
    expect(known?.frequency).toBe(real?.frequency);
    if (isKnown('linkADRReq')) expect(known?.enabled).toBe(real?.enabled);
    if (isKnown(`dlChannelReq ${i}`)) expect(known?.downlinkFrequency).toBe(device.reception().moved.get(i));
  }
}

/** All that the state says for certain is so, but for that of which everybody missed the answers. */
function expectTrue({ state, givenUp }: Edge, { device }: Scene): void {
  const isKnown: IsKnown = (key) => !givenUp.has(key) && !isOpen(state, key);
  const { rx1DelayS, rx1DrOffset, rx2 } = device.reception();
  if (isKnown('rxTimingSetupReq')) expect(state.rx1DelayS).toBe(rx1DelayS);
  if (isKnown('rxParamSetupReq')) expect([state.rx1DrOffset, state.rx2]).toEqual([rx1DrOffset, rx2]);
  if (isKnown('dutyCycleReq')) expect(state.maxDutyCycle).toBe(device.maxDutyCycle());
  const { nbTrans, txPower } = device.sending();
  if (isKnown('linkADRReq')) expect(state).toMatchObject({ nbTrans, txPower });
  expectChannels(state, device, isKnown);
}

const good: Turn = { asked: undefined, uplinkHeard: true, downlinkHeard: true };
/** With these nothing is lost; each kind of outcome has its turn. */
const settle = (scene: Scene, own: Edge): void => {
  for (let i = 0; i < 80; i++) turn(scene, own, [], good);
  expect(own.state.unsure).toBeUndefined();
  expect(own.state.pending).toEqual([]);
  // the answers that were given once and missed are asked for by nobody
  expect(aimedAt(own.state)).toEqual(windows(scene.device));
};

/** What an edge begins from that was told `lag` changes ago how the device listens. */
function told(history: readonly MacState[], lag: number): Edge {
  const { spokenTo: _spoken, ...began } = history[Math.max(0, history.length - 1 - lag)] ?? fresh;
  return edge(began);
}

function serve(scene: Scene, own: Edge, drawn: readonly Turn[]): MacState[] {
  return [
    fresh,
    ...drawn.map((each, i) => {
      turn(scene, own, [], each);
      return (own.state = { ...own.state, number: i + 1 });
    }),
  ];
}

/** Of a device that they did not speak to nothing comes home. */
function comeHome(own: Edge, theirs: Edge): void {
  if (theirs.state.spokenTo !== true) return;
  own.state = parseMacState(broughtHome(eu868, own.state, parseMacState(theirs.state)));
  for (const key of theirs.givenUp) own.givenUp.add(key);
}

const lag = fc.nat(8);

describe('a device that another edge served, which began from an older state', () => {
  test('is known as its own last answers say, whoever heard them; what nobody heard is asked again until it answers', () => {
    fc.assert(
      fc.property(
        turns,
        turns,
        turns,
        lag,
        taking,
        fc.boolean(),
        (served, away, again, late, takes, hears) => {
          const scene: Scene = { device: deviceModel(takes), fcnt: 0 };
          const own = edge(fresh);
          const theirs = told(serve(scene, own, served), late);
          for (const each of away) turn(scene, theirs, hears ? [own] : [], each);
          comeHome(own, theirs);
          expectTrue(own, scene);
          for (const each of again) {
            turn(scene, own, [], each);
            expectTrue(own, scene);
          }
          settle(scene, own);
        },
      ),
      { numRuns: 400 },
    );
  });

  test('is so after two who did not know of each other, in whichever order they tell, and long after its own edge acts again', () => {
    const order = fc.constantFrom('first', 'second', 'late');
    fc.assert(
      fc.property(
        turns,
        turns,
        turns,
        turns,
        lag,
        lag,
        taking,
        order,
        (served, one, two, again, b, c, takes, when) => {
          const scene: Scene = { device: deviceModel(takes), fcnt: 0 };
          const own = edge(fresh);
          const history = serve(scene, own, served);
          // an answer that comes before it is known that somebody else asked is taken for one's own
          fc.pre(when !== 'late' || own.state.pending.every(({ sentAt }) => sentAt === undefined));
          const [first, second] = [told(history, b), told(history, c)];
          for (const each of one) turn(scene, first, [], each);
          for (const each of two) turn(scene, second, [], each);
          if (when === 'first') comeHome(own, first);
          comeHome(own, second);
          if (when === 'second') comeHome(own, first);
          for (const each of again) turn(scene, own, [], each);
          if (when === 'late') comeHome(own, first);
          expectTrue(own, scene);
          settle(scene, own);
          // the same again makes nothing worse
          comeHome(own, second);
          settle(scene, own);
        },
      ),
      { numRuns: 400 },
    );
  });
});
