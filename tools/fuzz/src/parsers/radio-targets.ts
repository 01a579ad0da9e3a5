import { AntirioError, concatBytes, fromHex } from '@antirio/kernel';
import {
  appKeyOf,
  broughtHome,
  createSessionCipher,
  createUplink11Verifier,
  decodeCayenneLpp,
  devAddrOf,
  encodeMacCommands,
  eu868,
  fcntCandidates,
  isMacRequest,
  listensAs,
  macStep,
  messageType,
  newMacState,
  parseCfList,
  parseDataFrame,
  parseJoinRequest,
  parseMacCommands,
  parseMacState,
  verifyJoinRequest,
  type MacState,
  type ParsedMacCommands,
} from '@antirio/lorawan';
import { FRAMES, JOIN_REQUEST, LPP } from './captures.ts';
import type { Target } from './target.ts';

const KEY = Uint8Array.from({ length: 16 }, (_, i) => i);
const cipher = createSessionCipher({ nwkSKey: KEY, appSKey: KEY });
const verify11 = createUplink11Verifier({ fNwkSIntKey: KEY, sNwkSIntKey: KEY });
const LONGEST_FRAME = 300;

const UPLINK_COMMANDS = '020306040507060a3f0703080a030d100511031213010903';
const DOWNLINK_COMMANDS =
  '02070303520700010407050ad2ad84060703184f84500805092d0a00184f840d0403020180 10 11d2ad8403 12010203 13d2ad84'.replaceAll(
    ' ',
    '',
  );

// Frames with a right MIC, so that mutations behind it are reached too.
const ownFrames = (['up', 'down'] as const).flatMap((direction) =>
  [0, 2].map((fPort) =>
    cipher.build(
      {
        direction,
        confirmed: fPort === 0,
        devAddr: devAddrOf(0x0107_2428),
        fcnt: 65_536,
        fPort,
        ...(fPort === 0 ? {} : { fOpts: fromHex(UPLINK_COMMANDS).subarray(0, 14) }),
      },
      fromHex(direction === 'up' ? UPLINK_COMMANDS : DOWNLINK_COMMANDS),
    ),
  ),
);

function readDataFrame(input: Uint8Array): unknown {
  const frame = parseDataFrame(input);
  const counters = fcntCandidates(frame.fcnt16, 65_530);
  const fcnt = counters.find((each) => cipher.verifies(frame, each));
  const isNewer = verify11(frame, counters[0] ?? 0, { dataRate: 5, channel: 0 });
  const payload = cipher.decrypt(frame, fcnt ?? 0);
  const bytes = frame.fPort === 0 ? payload : frame.fOpts;
  const commands = frame.direction === 'up' ? parseMacCommands(bytes, 'up') : parseMacCommands(bytes, 'down');
  return { frame, fcnt, isNewer, payload, commands };
}

const dataFrame: Target = {
  name: 'PHYPayload',
  seeds: [...FRAMES, ...ownFrames],
  format: 'bytes',
  longest: LONGEST_FRAME,
  read: (input) => (messageType(input) === 'joinRequest' ? parseJoinRequest(input) : readDataFrame(input)),
};

const appKey = appKeyOf(KEY);
const joinRequest: Target = {
  name: 'JoinRequest',
  seeds: [JOIN_REQUEST, ...FRAMES],
  format: 'bytes',
  longest: LONGEST_FRAME,
  read(input) {
    const request = parseJoinRequest(input);
    return { request, isTrue: verifyJoinRequest(appKey, request) };
  },
};

function checkWritten(input: Uint8Array, read: ParsedMacCommands): void {
  const written = encodeMacCommands(read.commands).length + (read.rest?.length ?? 0);
  if (written !== input.length)
    throw new AntirioError('internal', `${input.length} bytes of MAC commands became ${written}`);
}

const macCommands: Target = {
  name: 'MAC commands',
  seeds: [fromHex(UPLINK_COMMANDS), fromHex(DOWNLINK_COMMANDS)],
  format: 'bytes',
  longest: LONGEST_FRAME,
  read(input) {
    const [up, down] = [parseMacCommands(input, 'up'), parseMacCommands(input, 'down')];
    for (const read of [up, down]) checkWritten(input, read);
    return { up, down };
  },
};

function asked(state: MacState, bytes: Uint8Array): MacState {
  let next = state;
  for (const command of parseMacCommands(bytes, 'down').commands.filter(isMacRequest)) {
    try {
      next = macStep(eu868, next, { type: 'request', command }).state;
    } catch (error) {
      if (!(error instanceof AntirioError)) throw error;
    }
  }
  return next;
}

function heard(
  state: MacState,
  fcnt: number,
  [control = 0, snr = 0]: Uint8Array,
  bytes: Uint8Array,
): MacState {
  const step = macStep(eu868, state, {
    type: 'uplink',
    fcnt,
    dataRate: control & 0x07,
    bestSnr: snr / 4 - 32,
    gatewayCount: control >>> 5,
    adr: (control & 0x08) !== 0,
    adrAckReq: (control & 0x10) !== 0,
    macCommands: parseMacCommands(bytes, 'up').commands,
    heardAtUnixMs: snr * 1e10,
  });
  if (encodeMacCommands(step.answers).length > 15)
    throw new AntirioError('internal', 'answers that do not fit FOpts');
  for (const command of step.answers) encodeMacCommands([command]);
  return step.state;
}

const TURN = 8;

/** The input is a life: turns of eight bytes, each something asked of the device or something heard from it. */
const macLife: Target = {
  name: 'MAC state',
  seeds: [
    concatBytes(
      ...Array.from({ length: 30 }, (_, i) =>
        Uint8Array.of(1, 0x28 | (i % 6), 120 + i, ...fromHex(UPLINK_COMMANDS).subarray(i % 16, (i % 16) + 5)),
      ),
    ),
    concatBytes(
      ...[0x03520700, 0x0523d2ad, 0x0703184f, 0x08050000, 0x0a00184f].flatMap((head) => [
        Uint8Array.of(0, head >>> 24, (head >>> 16) & 0xff, (head >>> 8) & 0xff, head & 0xff, 0x84, 0x50, 0),
        Uint8Array.of(1, 0x0d, 200, head >>> 24, 7, 8, 0, 0),
      ]),
    ),
  ],
  format: 'bytes',
  longest: 30 * TURN,
  read(input) {
    let state = newMacState(eu868, { channels: [867_100_000] });
    for (let at = 0; at < input.length; at += TURN) {
      const turn = input.subarray(at, at + TURN);
      const isHeard = (turn[0] ?? 0) % 2 === 1;
      state = isHeard
        ? heard(state, at, turn.subarray(1, 3), turn.subarray(3))
        : asked(state, turn.subarray(1));
    }
    const uplink = { frequency: 868_100_000, spreadingFactor: 7, bandwidth: 125_000 };
    const stored = parseMacState(JSON.parse(JSON.stringify(state)));
    const home = broughtHome(eu868, newMacState(eu868), stored);
    const merged = broughtHome(eu868, home, { ...stored, number: 0 });
    const windows = [state, home, merged].map((one) => eu868.receiveWindows(uplink, listensAs(one)));
    return { stored, windows };
  },
};

const cayenneLpp: Target = {
  name: 'Cayenne LPP',
  seeds: LPP,
  format: 'bytes',
  longest: 1024,
  read: decodeCayenneLpp,
};

const cfList: Target = {
  name: 'CFList',
  seeds: [eu868.cfList([867_100_000, 867_300_000]) ?? new Uint8Array(16)],
  format: 'bytes',
  longest: 64,
  read: parseCfList,
};

export const radioTargets: readonly Target[] = [
  dataFrame,
  joinRequest,
  macCommands,
  macLife,
  cayenneLpp,
  cfList,
];
