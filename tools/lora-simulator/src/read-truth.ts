import { createReadStream, existsSync } from 'node:fs';
import { createInterface } from 'node:readline';
import type { TransmissionKind } from './transmission.ts';
import type {
  AckedRecord,
  CommandRecord,
  DownlinkIgnoredRecord,
  DownlinkReceivedRecord,
  DownlinkRecord,
  DownlinkRefusedRecord,
  EndRecord,
  HeardRecord,
  JoinedRecord,
  JoinRequestRecord,
  MacRecord,
  MissedRecord,
  RunRecord,
  TruthRecord,
  TxRecord,
} from './truth.ts';
import { OLDER_LOGS } from './truth.ts';

/** When (monotonic ms) something happened at a gateway. */
export interface AtGateway {
  readonly gateway: string;
  readonly at: number;
}

/** One frame on air, once, with what became of it. */
export interface AirRecord extends Omit<TxRecord, 'type'> {
  readonly heardBy: readonly AtGateway[];
  readonly ackedBy: readonly AtGateway[];
}

/** One JoinRequest on air, once, with what became of it. */
export interface JoinAttempt extends Omit<JoinRequestRecord, 'type'> {
  readonly heardBy: readonly AtGateway[];
  readonly ackedBy: readonly AtGateway[];
}

/** One reading that a mote sent: identified by DevEUI and 32-bit FCnt. */
export interface TruthIdentity {
  readonly devEui: string;
  readonly devAddr: string;
  readonly fcnt: number;
  readonly fPort: number;
  /** FRMPayload in the clear, hex. */
  readonly payload: string;
  /** Hex. */
  readonly phyPayload: string;
  /** How its bytes were on air: `uplink` and, if so, `retransmission`, `replay`. */
  readonly kinds: readonly TransmissionKind[];
  /** Gateways that received its bytes in any transmission, replays too. */
  readonly heardBy: readonly string[];
  /** Gateways to which a server acknowledged its bytes in any transmission, replays too. */
  readonly ackedBy: readonly string[];
  /** Start of its first transmission, monotonic ms. */
  readonly airAt: number;
  /** All its transmissions in the order on air. */
  readonly transmissions: readonly AirRecord[];
}

/** All that a truth log says. */
export interface Truth {
  readonly run: RunRecord | undefined;
  /** What the motes sent. */
  readonly identities: readonly TruthIdentity[];
  /** What foreign motes sent under a DevAddr of ours. */
  readonly foreign: readonly AirRecord[];
  readonly bitflips: readonly AirRecord[];
  /** JoinRequests, and copies of them by attackers. */
  readonly joinRequests: readonly JoinAttempt[];
  readonly joins: readonly JoinedRecord[];
  readonly downlinks: readonly DownlinkRecord[];
  readonly downlinksRefused: readonly DownlinkRefusedRecord[];
  readonly downlinksReceived: readonly DownlinkReceivedRecord[];
  readonly downlinksIgnored: readonly DownlinkIgnoredRecord[];
  readonly missed: readonly MissedRecord[];
  /** MAC commands that motes obeyed. */
  readonly mac: readonly MacRecord[];
  readonly commands: readonly CommandRecord[];
  /** Undefined where the simulator was killed, or still runs. */
  readonly end: EndRecord | undefined;
  /** Lines that are no record: 1 for a torn last line; more means a damaged file. */
  readonly unreadableLines: number;
}

/** The uplinks of a truth, as the result table counts them. */
export interface UplinkCounts {
  /** Identities on air. */
  readonly sent: number;
  /** Identities received by at least one gateway. */
  readonly heard: number;
  /** Identities acknowledged to at least one gateway. */
  readonly covered: number;
}

interface MutableAir extends Omit<TxRecord, 'type'> {
  readonly heardBy: AtGateway[];
  readonly ackedBy: AtGateway[];
}

interface MutableJoin extends Omit<JoinRequestRecord, 'type'> {
  readonly heardBy: AtGateway[];
  readonly ackedBy: AtGateway[];
}

const unique = <T>(items: readonly T[]): T[] => [...new Set(items)];

function parseLine(line: string): TruthRecord | undefined {
  try {
    const record: unknown = JSON.parse(line);
    const isRecord = typeof record === 'object' && record !== null && 'type' in record;
    return isRecord ? (record as TruthRecord) : undefined;
  } catch {
    return undefined;
  }
}

function identityOf(transmissions: readonly [AirRecord, ...AirRecord[]]): TruthIdentity {
  const { devEui, devAddr, fcnt, fPort, payload, phyPayload, at } = transmissions[0];
  return {
    ...{ devEui, devAddr, fcnt, fPort, payload, phyPayload },
    kinds: unique(transmissions.map(({ kind }) => kind)),
    heardBy: unique(transmissions.flatMap((air) => air.heardBy.map(({ gateway }) => gateway))),
    ackedBy: unique(transmissions.flatMap((air) => air.ackedBy.map(({ gateway }) => gateway))),
    airAt: at,
    transmissions,
  };
}

function identitiesOf(air: Iterable<AirRecord>): TruthIdentity[] {
  const byFirst = new Map<number, [AirRecord, ...AirRecord[]]>();
  for (const record of air) {
    if (record.kind === 'foreign' || record.kind === 'bitflip') continue;
    const first = byFirst.get(record.ofTxId ?? record.id);
    if (first === undefined) byFirst.set(record.id, [record]);
    else first.push(record);
  }
  return [...byFirst.values()].map(identityOf);
}

type AnyDownlinkRecord =
  DownlinkRecord | DownlinkRefusedRecord | DownlinkReceivedRecord | DownlinkIgnoredRecord;

class TruthReader {
  readonly #air = new Map<number, MutableAir>();
  readonly #joinRequests = new Map<number, MutableJoin>();
  readonly #joins: JoinedRecord[] = [];
  readonly #downlinks: DownlinkRecord[] = [];
  readonly #downlinksRefused: DownlinkRefusedRecord[] = [];
  readonly #downlinksReceived: DownlinkReceivedRecord[] = [];
  readonly #downlinksIgnored: DownlinkIgnoredRecord[] = [];
  readonly #missed: MissedRecord[] = [];
  readonly #mac: MacRecord[] = [];
  readonly #commands: CommandRecord[] = [];
  #run: RunRecord | undefined;
  #end: EndRecord | undefined;
  #unreadableLines = 0;

  line(text: string): void {
    const record = parseLine(text);
    if (record === undefined) this.#unreadableLines += 1;
    else this.#record(record);
  }

  result(): Truth {
    const air = [...this.#air.values()];
    return {
      run: this.#run,
      identities: identitiesOf(air),
      foreign: air.filter(({ kind }) => kind === 'foreign'),
      bitflips: air.filter(({ kind }) => kind === 'bitflip'),
      joinRequests: [...this.#joinRequests.values()],
      joins: this.#joins,
      downlinks: this.#downlinks,
      downlinksRefused: this.#downlinksRefused,
      downlinksReceived: this.#downlinksReceived,
      downlinksIgnored: this.#downlinksIgnored,
      missed: this.#missed,
      mac: this.#mac,
      commands: this.#commands,
      end: this.#end,
      unreadableLines: this.#unreadableLines,
    };
  }

  #record(record: TruthRecord): void {
    switch (record.type) {
      case 'tx':
      case 'joinRequest':
      case 'heard':
      case 'acked':
        this.#onAir(record);
        return;
      case 'run':
        this.#run = record;
        return;
      case 'end':
        this.#end = record;
        return;
      default:
        this.#event(record);
    }
  }

  #event(record: JoinedRecord | MacRecord | MissedRecord | CommandRecord | AnyDownlinkRecord): void {
    if (record.type === 'joined') this.#joins.push(record);
    else if (record.type === 'mac') this.#mac.push(record);
    else if (record.type === 'missed') this.#missed.push(record);
    else if (record.type === 'command') this.#commands.push(record);
    else this.#downlink(record);
  }

  #onAir(record: TxRecord | JoinRequestRecord | HeardRecord | AckedRecord): void {
    switch (record.type) {
      case 'tx': {
        const { type: _, ...tx } = record;
        this.#air.set(tx.id, { ...tx, heardBy: [], ackedBy: [] });
        return;
      }
      case 'joinRequest': {
        const { type: _, ...request } = record;
        this.#joinRequests.set(request.id, { ...request, heardBy: [], ackedBy: [] });
        return;
      }
      default: {
        const air = this.#air.get(record.txId) ?? this.#joinRequests.get(record.txId);
        const list = record.type === 'heard' ? air?.heardBy : air?.ackedBy;
        list?.push({ gateway: record.gateway, at: record.at });
      }
    }
  }

  #downlink(record: AnyDownlinkRecord): void {
    switch (record.type) {
      case 'downlink':
        this.#downlinks.push(record);
        return;
      case 'downlinkRefused':
        this.#downlinksRefused.push(record);
        return;
      case 'downlinkReceived':
        this.#downlinksReceived.push(record);
        return;
      case 'downlinkIgnored':
        this.#downlinksIgnored.push(record);
        return;
      default:
        this.#unreadableLines += 1;
    }
  }
}

/** Reads a truth log, also one that is being written, whose writer was killed, or whose oldest part was dropped. */
export async function readTruth(file: string): Promise<Truth> {
  const reader = new TruthReader();
  const older = OLDER_LOGS.map((number) => `${file}.${String(number)}`).filter((name) => existsSync(name));
  for (const part of [...older.reverse(), file]) {
    const lines = createInterface({ input: createReadStream(part, 'utf8'), crlfDelay: Infinity });
    for await (const line of lines) reader.line(line);
  }
  return reader.result();
}

/** Counts uplinks as the result table has them: each identity once, whatever replays and retransmissions did. */
export function countUplinks(truth: Pick<Truth, 'identities'>): UplinkCounts {
  return {
    sent: truth.identities.length,
    heard: truth.identities.filter(({ heardBy }) => heardBy.length > 0).length,
    covered: truth.identities.filter(({ ackedBy }) => ackedBy.length > 0).length,
  };
}
