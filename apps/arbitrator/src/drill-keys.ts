import { z } from 'zod';
import {
  fromHex,
  fromUtf8,
  openSealed,
  sealTo,
  toHex,
  utf8,
  type EdgeId,
  type Identity,
  type Random,
  type SealKey,
  type SealedBox,
} from '@antirio/kernel';
import {
  createSessionCipher,
  parseDataFrame,
  parseDevAddr,
  sessionFingerprint,
  type DataFrame,
} from '@antirio/lorawan';
import {
  drillDevEuiOf,
  drillIdOf,
  type ContractTerms,
  type DrillAnswer,
  type ProtectedDevice,
} from '@antirio/service-contract';
import type { ContractStore } from './contract-store.ts';
import { divideKeys, type DividedKeys, type Secrets } from './sealed-keys.ts';

/** The sensor that there is in drills only, by the name that its service knows. */
export const DRILL_DEVICE = 'drill';
/** Each join of a device makes a version; a drill is over long before so many more. */
export const DRILL_VERSIONS_KEPT = 64;
const GENUINE = 4;
const PAYLOAD_BYTES = 12;
/** What an answer has room for. */
const MOST_PAYLOAD = 64;
/** FCnts that one drill may use; the sixteen bits that go on air are used up after so many drills, and begin again. */
const FCNTS = 8;
const DRILLS_IN_16_BITS = 8000;

const hexKey = z.string().regex(/^[0-9a-f]{32}$/);
const ownDrill = z.object({
  session: z.object({ devEui: z.string(), devAddr: z.string(), nwkSKey: hexKey, appSKey: hexKey }),
  /** By which the times of drills are drawn. */
  secret: hexKey,
});
type OwnDrill = z.output<typeof ownDrill>;
export type DrillSession = OwnDrill['session'];

export interface DrillKeys extends OwnDrill {
  readonly divided: DividedKeys;
}

/** The contract as its drills have it: under the drill's own name, about its one sensor, and with nobody to forward to. */
export function drillTermsOf(terms: ContractTerms, device?: ProtectedDevice): ContractTerms {
  const { forwarding: _cloud, ...rest } = terms;
  const set = device === undefined ? terms.set : { ...terms.set, devices: [device] };
  return { ...rest, contractId: drillIdOf(terms.contractId), set };
}

/** Of NetIDs 000000 and 000001, which are for everybody's experiments; none of the set's. */
function drawDevAddr({ set }: ContractTerms, random: Random): string {
  const taken = new Set(set.devices.map(({ devAddr }) => devAddr));
  for (;;) {
    const [first = 0, ...rest] = random.bytes(4);
    const devAddr = toHex(Uint8Array.of(first & 0x03, ...rest));
    if (!taken.has(devAddr)) return devAddr;
  }
}

/** The contract's service with the drill's sensor in place of the others, and silent. */
function drillService(
  service: Readonly<Record<string, unknown>>,
  { devEui, devAddr }: DrillSession,
): Record<string, unknown> {
  const devices = [{ devEui, devAddr, name: DRILL_DEVICE, codec: 'raw' }];
  return { ...service, devices, sendDownlinks: false, answerUplinks: false, devStatusIntervalS: 0 };
}

export interface DrillKeyPorts {
  readonly store: Pick<ContractStore, 'document' | 'putDocument' | 'forgetVersions'>;
  readonly identity: Identity;
  readonly random: Random;
  readonly service: () => Readonly<Record<string, unknown>>;
  readonly sealKeysOf: (edges: readonly EdgeId[]) => Promise<(edge: EdgeId) => SealKey>;
}

/** With each version of the customer's keys a drill session, sealed and shared as those are, in a package of its own. */
export async function drillKeysFor(
  { store, identity, random, service, sealKeysOf }: DrillKeyPorts,
  terms: ContractTerms,
  keyVersion: number,
): Promise<DrillKeys> {
  const { contractId } = terms;
  const [own, divided] = [`drillOwn/${keyVersion}`, `drillDivided/${keyVersion}`];
  const kept = store.document(contractId, own);
  const there = store.document(contractId, divided);
  if (kept !== undefined && there !== undefined) {
    const opened = ownDrill.parse(JSON.parse(fromUtf8(openSealed(identity, kept as SealedBox))));
    return { ...opened, divided: there as DividedKeys };
  }
  const session: DrillSession = {
    devEui: drillDevEuiOf(contractId),
    devAddr: drawDevAddr(terms, random),
    nwkSKey: toHex(random.bytes(16)),
    appSKey: toHex(random.bytes(16)),
  };
  const secret = toHex(random.bytes(16));
  const drill = drillTermsOf(terms, session);
  const sealKeyOf = await sealKeysOf([terms.provider, ...terms.escrow.holders, terms.central]);
  const all = { keyVersion, sessions: [session] };
  const made = await divideKeys(identity, drill, drillService(service(), session), all, sealKeyOf, random);
  store.putDocument(
    contractId,
    own,
    sealTo(identity.sealKey, utf8(JSON.stringify({ session, secret } satisfies OwnDrill))),
  );
  // The later of the two: what was delivered is always of a session that is kept.
  store.putDocument(contractId, divided, made);
  for (const kind of ['drillOwn', 'drillDivided'])
    store.forgetVersions(contractId, kind, keyVersion - DRILL_VERSIONS_KEPT);
  return { session, secret, divided: made };
}

/** Whether a service that takes each frame once, in order, and of its own sensor only, reads all that are genuine. */
function areReadable(frames: readonly DataFrame[], devAddr: DataFrame['devAddr']): boolean {
  return frames.every(({ direction, devAddr: of, fcnt16, fPort = 0, frmPayload }, i) => {
    const rises = fcnt16 > (frames[i - 1]?.fcnt16 ?? 0);
    const { length } = frmPayload;
    return direction === 'up' && of === devAddr && fPort > 0 && rises && length > 0 && length <= MOST_PAYLOAD;
  });
}

/** What frames say under these keys; undefined where they are no drill's keys, or the frames not a drill's: one forged, the rest readable. */
export function readDrillFrames(
  { sessions }: Pick<Secrets, 'sessions'>,
  { confidentiality }: Pick<ContractTerms, 'confidentiality'>,
  frames: readonly string[],
): DrillAnswer | undefined {
  const [session, ...others] = sessions;
  if (session === undefined || others.length > 0) return undefined;
  const nwkSKey = fromHex(session.nwkSKey.toLowerCase(), 16);
  const appSKey = session.appSKey === undefined ? undefined : fromHex(session.appSKey.toLowerCase(), 16);
  try {
    const cipher = createSessionCipher(appSKey === undefined ? { nwkSKey } : { nwkSKey, appSKey });
    const parsed = frames.map((hex) => parseDataFrame(fromHex(hex, hex.length / 2)));
    const genuine = parsed.filter((frame) => cipher.verifies(frame, frame.fcnt16));
    const devAddr = parseDevAddr(session.devAddr);
    if (genuine.length === 0 || genuine.length !== frames.length - 1 || !areReadable(parsed, devAddr))
      return undefined;
    const reads = confidentiality === 'process';
    const payloads = genuine.map((frame) =>
      toHex(reads ? cipher.decrypt(frame, frame.fcnt16) : frame.frmPayload),
    );
    return { session: sessionFingerprint(nwkSKey, devAddr), payloads };
  } catch {
    return undefined;
  }
}

/** What the provider is to read, and what it says; one of the frames is forged, and says nothing. */
export function makeDrillFrames(
  { devAddr, nwkSKey, appSKey }: DrillSession,
  { confidentiality }: Pick<ContractTerms, 'confidentiality'>,
  drill: number,
  random: Random,
): { readonly frames: string[]; readonly answer: DrillAnswer } {
  const keys = { nwkSKey: fromHex(nwkSKey, 16), appSKey: fromHex(appSKey, 16) };
  const cipher = createSessionCipher(keys);
  const address = parseDevAddr(devAddr);
  const first = (drill % DRILLS_IN_16_BITS) * FCNTS + 1;
  const made = Array.from({ length: GENUINE + 1 }, (_, i) => {
    const payload = random.bytes(PAYLOAD_BYTES);
    const fields = {
      direction: 'up',
      confirmed: false,
      devAddr: address,
      fcnt: first + i,
      fPort: 2,
    } as const;
    return { payload, frame: cipher.build(fields, payload) };
  });
  const forged = (random.bytes(1)[0] ?? 0) % made.length;
  const last = made[forged]?.frame;
  if (last !== undefined) last[last.length - 1] = (last.at(-1) ?? 0) ^ 1;
  const genuine = made.filter((_, i) => i !== forged);
  const reads = confidentiality === 'process';
  const payloads = genuine.map(({ payload, frame }) =>
    toHex(reads ? payload : parseDataFrame(frame).frmPayload),
  );
  return {
    frames: made.map(({ frame }) => toHex(frame)),
    answer: { session: sessionFingerprint(keys.nwkSKey, address), payloads },
  };
}
