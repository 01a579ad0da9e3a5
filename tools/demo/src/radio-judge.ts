import type { DownlinkIgnoredRecord, DownlinkRecord } from '@antirio/lora-simulator';

/** Of one contract. */
export type Party = 'customer' | 'provider';
/** Of one set: it may have a second provider. */
export type Actor = Party | 'second';

/** An epoch as its holder had it: from `mayActFrom` (monotonic ms) no frame of a lower one may be on air. */
export interface EpochGrant {
  readonly epoch: number;
  readonly holder: Actor;
  readonly mayActFrom: number;
}

export interface RadioEvidence {
  readonly downlinks: readonly DownlinkRecord[];
  readonly ignored: readonly DownlinkIgnoredRecord[];
  /** Whose gateway is whose. */
  readonly gateways: ReadonlyMap<string, Actor>;
  /** Which quarter of the FCntDown blocks is whose, by the contract. */
  readonly slots: Readonly<Record<Party, number> & { readonly second?: number }>;
  readonly grants: readonly EpochGrant[];
}

/** Downlinks on air, by who sent them in which epoch. */
export interface RadioVerdict {
  readonly onAir: readonly { readonly party: Actor; readonly epoch: number; readonly count: number }[];
  readonly faults: readonly string[];
}

/** FCntDown is used in blocks of this many; each party has every fourth block. */
const BLOCK_SIZE = 16;
const SLOTS = 4;

type Judged = DownlinkRecord & { readonly party: Actor; readonly epoch: number };

const describe = (downlink: DownlinkRecord): string =>
  `downlink ${downlink.id} (DevAddr ${downlink.devAddr ?? '?'}, FCntDown ${downlink.fcntDown ?? '?'}) from gateway ${downlink.gateway}`;

function epochAt(at: number, grants: readonly EpochGrant[]): EpochGrant | undefined {
  return grants
    .filter(({ mayActFrom }) => mayActFrom <= at)
    .reduce<EpochGrant | undefined>(
      (newest, one) => (one.epoch > (newest?.epoch ?? -1) ? one : newest),
      undefined,
    );
}

function tenureFault(
  downlink: DownlinkRecord,
  party: Actor,
  grants: readonly EpochGrant[],
): string | undefined {
  const ruling = epochAt(downlink.at, grants);
  // Before there is any epoch, the customer's sensors are its own, and nobody else's.
  const holder = ruling?.holder ?? 'customer';
  if (holder === party) return undefined;
  const next = grants
    .filter((one) => one.holder === party && one.mayActFrom > downlink.at)
    .sort((a, b) => a.mayActFrom - b.mayActFrom)[0];
  const early =
    next === undefined
      ? ''
      : `, ${Math.round(next.mayActFrom - downlink.at)} ms before epoch ${next.epoch} may act`;
  return `${describe(downlink)}: the ${party} acted while epoch ${ruling?.epoch ?? 0} of the ${holder} ruled${early}`;
}

function slotFault(
  downlink: DownlinkRecord,
  party: Actor,
  { slots, grants }: RadioEvidence,
): string | undefined {
  // Counters are divided from the contract on; before it all are the customer's.
  const first = Math.min(...grants.map(({ mayActFrom }) => mayActFrom));
  if (downlink.fcntDown === null || (party === 'customer' && !(downlink.at >= first))) return undefined;
  const slot = Math.floor(downlink.fcntDown / BLOCK_SIZE) % SLOTS;
  return slot === slots[party]
    ? undefined
    : `${describe(downlink)}: the counter is of slot ${slot}, the ${party} has ${String(slots[party])}`;
}

function counterFaults(downlinks: readonly DownlinkRecord[]): string[] {
  const bytes = new Map<string, string>();
  const faults: string[] = [];
  for (const downlink of downlinks) {
    const { devAddr, fcntDown, phyPayload } = downlink;
    if (devAddr === null || fcntDown === null) continue;
    const key = `${devAddr}/${fcntDown}`;
    const known = bytes.get(key);
    if (known !== undefined && known !== phyPayload)
      faults.push(`${describe(downlink)}: the counter was used for other bytes before`);
    bytes.set(key, known ?? phyPayload);
  }
  return faults;
}

/** A frame that no mote can take is an edge's own fault, whatever the radio does to it. */
const MADE_WRONG: ReadonlySet<string> = new Set(['mic', 'polarity', 'notData', 'noMote', 'counterGap']);

function tally(judged: readonly Judged[]): RadioVerdict['onAir'] {
  const counts = new Map<string, { party: Actor; epoch: number; count: number }>();
  for (const { party, epoch } of judged) {
    const key = `${party}/${epoch}`;
    const entry = counts.get(key) ?? { party, epoch, count: 0 };
    entry.count += 1;
    counts.set(key, entry);
  }
  return [...counts.values()].sort((a, b) => a.epoch - b.epoch);
}

/**
 * Judges every downlink that the simulator's radio recorded: no frame of a lower epoch once the holder of a higher one may
 * act, none before its own epoch may act, each party in its own counter blocks, no counter twice with other bytes.
 */
export function judgeRadio(evidence: RadioEvidence): RadioVerdict {
  const { downlinks, gateways, grants } = evidence;
  const faults: string[] = [];
  const judged: Judged[] = [];
  for (const downlink of downlinks) {
    const party = gateways.get(downlink.gateway);
    if (party === undefined) {
      faults.push(`${describe(downlink)}: the gateway is nobody's`);
      continue;
    }
    judged.push({ ...downlink, party, epoch: epochAt(downlink.at, grants)?.epoch ?? 0 });
    faults.push(
      ...[tenureFault(downlink, party, grants), slotFault(downlink, party, evidence)].filter(
        (one) => one !== undefined,
      ),
    );
  }
  const byId = new Map(downlinks.map((downlink) => [downlink.id, downlink]));
  for (const { downlinkId, reason } of evidence.ignored) {
    const downlink = byId.get(downlinkId);
    if (downlink !== undefined && MADE_WRONG.has(reason))
      faults.push(`${describe(downlink)}: no mote can take it (${reason})`);
  }
  return { onAir: tally(judged), faults: [...faults, ...counterFaults(downlinks)] };
}
