import { AntirioError } from '@antirio/kernel';
import type { Direction } from '../phy-payload.ts';
import type { DownlinkMacCommand, MacCommand, UplinkMacCommand } from './commands.ts';
import { readFields, writeFields } from './fields.ts';
import { DOWNLINK_LAYOUTS, UPLINK_LAYOUTS, type Layout } from './layouts.ts';

/** What some bytes say. */
export interface ParsedMacCommands<Command extends MacCommand = MacCommand> {
  readonly commands: readonly Command[];
  /** From the first command on that is unknown or cut short: nobody knows where the next would begin. */
  readonly rest?: Uint8Array;
}

const LAYOUTS: Readonly<Record<string, Layout>> = { ...UPLINK_LAYOUTS, ...DOWNLINK_LAYOUTS };

type Named = readonly [type: string, layout: Layout];

const byCid = (layouts: Readonly<Record<string, Layout>>): ReadonlyMap<number, Named> =>
  new Map(Object.entries(layouts).map((named) => [named[1].cid, named]));
const BY_CID: Readonly<Record<Direction, ReadonlyMap<number, Named>>> = {
  up: byCid(UPLINK_LAYOUTS),
  down: byCid(DOWNLINK_LAYOUTS),
};

/** Longest that a PHYPayload can carry. */
const LONGEST = 255;

/**
 * Reads FOpts, or the payload of port 0 in the clear. Reserved bits are not looked at.
 * @throws AntirioError tooLarge for more than a frame can carry.
 */
export function parseMacCommands(bytes: Uint8Array, direction: 'up'): ParsedMacCommands<UplinkMacCommand>;
export function parseMacCommands(bytes: Uint8Array, direction: 'down'): ParsedMacCommands<DownlinkMacCommand>;
export function parseMacCommands(bytes: Uint8Array, direction: Direction): ParsedMacCommands {
  if (bytes.length > LONGEST)
    throw new AntirioError('tooLarge', `${bytes.length} bytes of MAC commands`, { length: bytes.length });
  const commands: MacCommand[] = [];
  let at = 0;
  while (at < bytes.length) {
    const [type, layout] = BY_CID[direction].get(bytes[at] ?? -1) ?? [];
    const end = at + 1 + (layout?.length ?? 0);
    if (layout === undefined || end > bytes.length) return { commands, rest: bytes.subarray(at) };
    // a layout has the fields of its command
    commands.push({ type, ...readFields(layout.fields, bytes.subarray(at + 1, end)) } as MacCommand);
    at = end;
  }
  return { commands };
}

/** Bytes that a command takes, its CID among them. */
export function macCommandLength(command: MacCommand): number {
  return 1 + (LAYOUTS[command.type]?.length ?? 0);
}

/** For FOpts (at most 15 bytes) or the payload of port 0. @throws AntirioError invalidInput for what does not fit its field. */
export function encodeMacCommands(commands: readonly MacCommand[]): Uint8Array {
  const lengths = commands.map(macCommandLength);
  const bytes = new Uint8Array(lengths.reduce((sum, length) => sum + length, 0));
  let at = 0;
  for (const [i, command] of commands.entries()) {
    const layout = LAYOUTS[command.type];
    const end = at + (lengths[i] ?? 0);
    if (layout !== undefined) {
      bytes[at] = layout.cid;
      writeFields(layout.fields, { ...command }, bytes.subarray(at + 1, end));
    }
    at = end;
  }
  return bytes;
}
