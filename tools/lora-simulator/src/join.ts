import type { SimulatorConfig } from './config.ts';
import type { OtaaDevice } from './devices.ts';
import type { SessionKeys } from './frames.ts';
import type { JoinAccept } from './join-frames.ts';
import type { Random } from './random.ts';
import type { RadioDownlink, RadioSettings, ReceiveSettings, ReceiveWindow } from './receive-windows.ts';
import type { JoinRequestFrame } from './transmission.ts';
import { JOIN_RX1_DELAY_MS, JOIN_RX2_DELAY_MS } from './eu868.ts';
import { ownBytes } from './frames.ts';
import { buildJoinRequest, deriveSessionKeys, readJoinAccept } from './join-frames.ts';
import { createReceiveWindows, DEFAULT_RECEPTION } from './receive-windows.ts';

/** Why a mote that may be meant ignores a JoinAccept. */
export type JoinRefusal = 'noWindow' | 'polarity' | 'joinMic' | 'joinNonceRepeated';

/** What a mote has after a join. */
export interface Joined {
  readonly accept: JoinAccept;
  readonly devNonce: number;
  readonly keys: SessionKeys;
}

/** What a mote makes of a JoinAccept on air. */
export type JoinResult =
  | ({ readonly accepted: true; readonly window: ReceiveWindow } & Joined)
  | { readonly accepted: false; readonly reason: JoinRefusal };

/** The joining half of an OTAA mote (LoRaWAN 1.0.x, section 6.2). */
export interface Joining {
  /** Whether a JoinRequest is out and unanswered. */
  readonly isWaiting: boolean;
  /** Forgets the JoinRequests so far: the next is the first of a new try. */
  begin(): void;
  /** The next JoinRequest; undefined once every DevNonce of a mote that counts was used. */
  request(txId: number): JoinRequestFrame | undefined;
  listenAfter(endMs: number, radio: RadioSettings): void;
  receive(downlink: RadioDownlink): JoinResult;
}

const LARGEST_NONCE = 0xffff;

const JOIN_RECEPTION: ReceiveSettings = {
  ...DEFAULT_RECEPTION,
  rx1DelayMs: JOIN_RX1_DELAY_MS,
  rx2DelayMs: JOIN_RX2_DELAY_MS,
};

type NonceConfig = Pick<SimulatorConfig, 'devNonce' | 'devNonceStart'>;

// LoRaWAN 1.0.4 counts, so that a join server can tell a replay; 1.0.3 draws, and may draw one twice.
function nonceSource(config: NonceConfig, random: Random): () => number | undefined {
  if (config.devNonce === 'random') return () => random.integer(LARGEST_NONCE + 1);
  let next = config.devNonceStart;
  return () => (next > LARGEST_NONCE ? undefined : next++);
}

/** The joins of one device; random DevNonces come from `random`. */
export function createJoining(device: OtaaDevice, config: NonceConfig, random: Random): Joining {
  const appKey = ownBytes(Buffer.from(device.appKey, 'hex'));
  const nextNonce = nonceSource(config, random);
  let windows = createReceiveWindows();
  let attempt = 0;
  let devNonce: number | undefined;
  let lastJoinNonce: number | undefined;

  const accept = (downlink: RadioDownlink, window: ReceiveWindow, nonce: number): JoinResult => {
    const read = readJoinAccept(appKey, downlink.phyPayload);
    if (read === undefined) return { accepted: false, reason: 'joinMic' };
    // Its MIC does not cover the DevNonce: an old JoinAccept would verify too.
    if (read.joinNonce === lastJoinNonce) return { accepted: false, reason: 'joinNonceRepeated' };
    lastJoinNonce = read.joinNonce;
    devNonce = undefined;
    const keys = deriveSessionKeys(appKey, read, nonce);
    return { accepted: true, window, accept: read, devNonce: nonce, keys };
  };
  return {
    get isWaiting() {
      return devNonce !== undefined;
    },
    begin() {
      attempt = 0;
      devNonce = undefined;
      windows = createReceiveWindows();
    },
    request(txId) {
      devNonce = nextNonce();
      if (devNonce === undefined) return undefined;
      attempt += 1;
      const { joinEui, devEui } = device;
      const phyPayload = buildJoinRequest(appKey, { joinEui, devEui, devNonce });
      return { firstTxId: txId, joinEui, devNonce, attempt, phyPayload };
    },
    listenAfter(endMs, radio) {
      windows = createReceiveWindows();
      windows.openAfter(endMs, radio, JOIN_RECEPTION);
    },
    receive(downlink) {
      const window = devNonce === undefined ? undefined : windows.match(downlink);
      if (window === undefined || devNonce === undefined) return { accepted: false, reason: 'noWindow' };
      if (!downlink.inverted) return { accepted: false, reason: 'polarity' };
      return accept(downlink, window, devNonce);
    },
  };
}
