import { z } from 'zod';
import { fromBase64, fromUtf8, AntirioError } from '@antirio/kernel';
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
        preamble: z.int().min(0).max(65_535).default(0),
        noCrc: z.boolean().default(false),
      }),
    }),
    antenna: z.int().min(0).max(15).default(0),
    timing: z.object({ delay: z.object({ delay: duration.optional() }).optional() }).default({}),
    context: z.string().max(64).default(''),
  }),
});

const downSchema = z
  .object({
    downlinkId: z.int().min(0).max(0xffff_ffff).default(0),
    items: z.array(itemSchema).min(1).max(8).optional(),
    itemsList: z.array(itemSchema).min(1).max(8).optional(),
  })
  .refine(({ items, itemsList }) => items !== undefined || itemsList !== undefined, 'items: there are none');

/** One way to send a downlink; the first that works is the only one. */
export interface DownlinkItem {
  readonly phyPayload: Uint8Array;
  /** When it is to go out by the gateway's counter; undefined for anything else than a delay after an uplink. */
  readonly tmst: number | undefined;
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
  readonly antenna: number;
}

export interface CommandDown {
  readonly downlinkId: number;
  readonly items: readonly DownlinkItem[];
}

function tmstOf(context: string, delayUs: number | undefined): number | undefined {
  const bytes = fromBase64(context);
  if (bytes.length !== 4 || delayUs === undefined) return undefined;
  return tmstAfter(new DataView(bytes.buffer, bytes.byteOffset).getUint32(0), delayUs);
}

function toItem({ phyPayload, txInfo }: z.output<typeof itemSchema>): DownlinkItem {
  const { lora } = txInfo.modulation;
  return {
    phyPayload: fromBase64(phyPayload),
    tmst: tmstOf(txInfo.context, txInfo.timing.delay?.delay),
    frequency: txInfo.frequency,
    power: txInfo.power,
    bandwidth: lora.bandwidth,
    spreadingFactor: lora.spreadingFactor,
    codeRate: lora.codeRate.replace(/^CR_(\d)_(\d)$/, '$1/$2'),
    invertPolarity: lora.polarizationInversion,
    preamble: lora.preamble,
    noCrc: lora.noCrc,
    antenna: txInfo.antenna,
  };
}

/** Reads ChirpStack's `gw.DownlinkFrame` in JSON. @throws AntirioError invalidInput */
export function readCommandDown(payload: Uint8Array): CommandDown {
  let value: unknown;
  try {
    value = JSON.parse(fromUtf8(payload));
  } catch (cause) {
    throw new AntirioError('invalidInput', 'command/down without JSON', {}, cause);
  }
  const { downlinkId, items, itemsList } = parseInput(downSchema, value);
  return { downlinkId, items: (items ?? itemsList ?? []).map(toItem) };
}

/** The `txpk` of a PULL_RESP (PROTOCOL.TXT, section 6). Never `imme`. */
export function txpkOf(item: DownlinkItem & { readonly tmst: number }): Readonly<Record<string, unknown>> {
  return {
    imme: false,
    tmst: item.tmst,
    freq: item.frequency / 1e6,
    rfch: 0,
    powe: Math.round(item.power),
    ant: item.antenna,
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
