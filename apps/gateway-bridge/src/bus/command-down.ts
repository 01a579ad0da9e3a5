import { z } from 'zod';
import { AntirioError, fromBase64 } from '@antirio/kernel';
import { parseInput } from '@antirio/host';
import { tmstAfter } from '../semtech/gateway-clock.ts';

const codeRates = ['CR_UNDEFINED', 'CR_4_5', 'CR_4_6', 'CR_4_7', 'CR_4_8'] as const;

// Both the canonical JSON of ChirpStack's messages ("1s", names) and the plain objects of its clients (seconds, numbers).
const codeRate = z
  .union([
    z.enum(codeRates),
    z
      .int()
      .min(0)
      .max(4)
      .transform((index) => codeRates[index] ?? 'CR_UNDEFINED'),
  ])
  .default('CR_4_5');

const duration = z.union([
  z
    .string()
    .regex(/^\d{1,2}(\.\d{1,9})?s$/, 'seconds such as `1s`')
    .transform((text) => Math.round(Number.parseFloat(text) * 1e6)),
  z
    .object({
      seconds: z.coerce.number().int().min(0).max(99).default(0),
      nanos: z.int().min(0).max(999_999_999).default(0),
    })
    .transform(({ seconds, nanos }) => seconds * 1e6 + Math.round(nanos / 1000)),
]);

// Whole milliseconds, up to a GPS time of some centuries.
const gpsTime = z.union([
  z
    .string()
    .regex(/^\d{1,11}(\.\d{1,9})?s$/, 'seconds such as `1479283715.054s`')
    .transform((text) => Math.round(Number.parseFloat(text) * 1000)),
  z
    .object({
      seconds: z.coerce.number().int().min(0).max(99_999_999_999).default(0),
      nanos: z.int().min(0).max(999_999_999).default(0),
    })
    .transform(({ seconds, nanos }) => seconds * 1000 + Math.round(nanos / 1e6)),
]);

const itemSchema = z.object({
  phyPayload: z.string().max(344),
  txInfo: z.object({
    frequency: z.int().min(1).max(0xffff_ffff),
    power: z.number().min(-10).max(40).default(14),
    modulation: z.object({
      lora: z.object({
        bandwidth: z.int().min(1),
        spreadingFactor: z.int().min(5).max(12),
        codeRate,
        polarizationInversion: z.boolean().default(true),
        preamble: z.int().min(0).max(4096).default(0),
        noCrc: z.boolean().default(false),
      }),
    }),
    board: z.int().min(0).max(255).default(0),
    antenna: z.int().min(0).max(255).default(0),
    timing: z
      .object({
        immediately: z.object({}).optional(),
        delay: z.object({ delay: duration.optional() }).optional(),
        gpsEpoch: z.object({ timeSinceGpsEpoch: gpsTime.optional() }).optional(),
      })
      .default({}),
    context: z.string().max(64).default(''),
  }),
});

const MAX_ITEMS = 8;
const downlinkIdSchema = z.int().min(0).max(0xffff_ffff).default(0);

const downSchema = z
  .object({
    downlinkId: downlinkIdSchema,
    items: z.array(itemSchema).min(1).max(MAX_ITEMS).optional(),
    itemsList: z.array(itemSchema).min(1).max(MAX_ITEMS).optional(),
  })
  .refine(({ items, itemsList }) => items !== undefined || itemsList !== undefined, 'items: there are none');

/** When a downlink is to go out: at a value of the gateway's counter, as soon as it can, at a GPS time (ms, no leap seconds). */
export type Timing =
  | { readonly kind: 'delay'; readonly tmst: number }
  | { readonly kind: 'immediately' }
  | { readonly kind: 'gps'; readonly gpsTimeMs: number }
  | { readonly kind: 'unknown' };

/** One way to send a downlink; the first that works is the only one. */
export interface DownlinkItem {
  readonly phyPayload: Uint8Array;
  readonly timing: Timing;
  /** The gateway's counter at the uplink that is answered; undefined where none is. */
  readonly uplinkTmst: number | undefined;
  /** Hz. */
  readonly frequency: number;
  /** dBm. */
  readonly power: number;
  readonly bandwidth: number;
  readonly spreadingFactor: number;
  /** Such as `4/5`. */
  readonly codeRate: string;
  readonly invertPolarity: boolean;
  readonly preamble: number;
  readonly noCrc: boolean;
  readonly board: number;
  readonly antenna: number;
}

export interface CommandDown {
  readonly downlinkId: number;
  readonly items: readonly DownlinkItem[];
}

function uplinkTmstOf(context: string): number | undefined {
  const bytes = fromBase64(context);
  return bytes.length === 4 ? new DataView(bytes.buffer, bytes.byteOffset).getUint32(0) : undefined;
}

function timingOf(
  timing: z.output<typeof itemSchema>['txInfo']['timing'],
  uplinkTmst: number | undefined,
): Timing {
  if (timing.immediately !== undefined) return { kind: 'immediately' };
  const gpsTimeMs = timing.gpsEpoch?.timeSinceGpsEpoch;
  if (gpsTimeMs !== undefined) return { kind: 'gps', gpsTimeMs };
  const delayUs = timing.delay?.delay;
  if (delayUs === undefined || uplinkTmst === undefined) return { kind: 'unknown' };
  return { kind: 'delay', tmst: tmstAfter(uplinkTmst, delayUs) };
}

function toItem({ phyPayload, txInfo }: z.output<typeof itemSchema>): DownlinkItem {
  const { lora } = txInfo.modulation;
  const uplinkTmst = uplinkTmstOf(txInfo.context);
  return {
    phyPayload: fromBase64(phyPayload),
    timing: timingOf(txInfo.timing, uplinkTmst),
    uplinkTmst,
    frequency: txInfo.frequency,
    power: txInfo.power,
    bandwidth: lora.bandwidth,
    spreadingFactor: lora.spreadingFactor,
    codeRate: lora.codeRate === 'CR_UNDEFINED' ? '4/5' : lora.codeRate.replace(/^CR_(\d)_(\d)$/, '$1/$2'),
    invertPolarity: lora.polarizationInversion,
    preamble: lora.preamble,
    noCrc: lora.noCrc,
    board: txInfo.board,
    antenna: txInfo.antenna,
  };
}

/** Reads ChirpStack's `gw.DownlinkFrame` in the form of its JSON. @throws AntirioError invalidInput */
export function commandDownOf(frame: unknown): CommandDown {
  const { downlinkId, items, itemsList } = parseInput(downSchema, frame);
  return { downlinkId, items: (items ?? itemsList ?? []).map(toItem) };
}

const envelopeSchema = z.object({
  downlinkId: downlinkIdSchema,
  items: z.array(z.unknown()).max(MAX_ITEMS).optional(),
  itemsList: z.array(z.unknown()).max(MAX_ITEMS).optional(),
});

/** Of a frame that cannot be read, what an answer needs; undefined where there is not even that. */
export function envelopeOf(
  frame: unknown,
): { readonly downlinkId: number; readonly items: number } | undefined {
  const parsed = envelopeSchema.safeParse(frame);
  if (!parsed.success) return undefined;
  const { downlinkId, items, itemsList } = parsed.data;
  return { downlinkId, items: (items ?? itemsList ?? []).length };
}

const whenOf = (timing: Timing): object => {
  switch (timing.kind) {
    case 'delay':
      return { imme: false, tmst: timing.tmst };
    case 'gps':
      return { imme: false, tmms: timing.gpsTimeMs };
    // without a time on the gateway's clock it could be on air at any moment, after any change of who may send
    case 'immediately':
    case 'unknown':
      throw new AntirioError('internal', 'a downlink without a time must not leave');
  }
};

/** The `txpk` of a PULL_RESP (PROTOCOL.TXT, section 6). */
export function txpkOf(item: DownlinkItem): Readonly<Record<string, unknown>> {
  return {
    ...whenOf(item.timing),
    freq: item.frequency / 1e6,
    rfch: 0,
    powe: Math.round(item.power),
    ant: item.antenna,
    ...(item.board === 0 ? {} : { brd: item.board }),
    modu: 'LORA',
    datr: `SF${item.spreadingFactor}BW${item.bandwidth / 1000}`,
    codr: item.codeRate,
    ipol: item.invertPolarity,
    ...(item.preamble === 0 ? {} : { prea: item.preamble }),
    ncrc: item.noCrc,
    size: item.phyPayload.length,
    data: Buffer.from(item.phyPayload).toString('base64'),
  };
}
