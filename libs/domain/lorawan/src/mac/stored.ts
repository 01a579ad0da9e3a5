import { z } from 'zod';
import { AntirioError } from '@antirio/kernel';
import { ADR_UPLINKS } from './adr.ts';
import { MOST_UNSURE } from './evidence.ts';
import type { MacState } from './state.ts';

/** A device that begins to count anew more often is told apart no more. */
export const MOST_LIVES = 2 ** 32 - 1;

const bits = (count: number) =>
  z
    .int()
    .min(0)
    .max(2 ** count - 1);
const fcnt = bits(32);
const frequency = z
  .int()
  .min(0)
  .max(0xff_ffff * 100);
const db = z.number().min(-128).max(127);

const request = z.discriminatedUnion('type', [
  z.strictObject({
    type: z.literal('linkADRReq'),
    dataRate: bits(4),
    txPower: bits(4),
    chMask: bits(16),
    chMaskCntl: bits(3),
    nbTrans: bits(4),
  }),
  z.strictObject({ type: z.literal('dutyCycleReq'), maxDutyCycle: bits(4) }),
  z.strictObject({
    type: z.literal('rxParamSetupReq'),
    rx1DrOffset: bits(3),
    rx2DataRate: bits(4),
    frequency,
  }),
  z.strictObject({ type: z.literal('devStatusReq') }),
  z.strictObject({
    type: z.literal('newChannelReq'),
    chIndex: bits(8),
    frequency,
    minDataRate: bits(4),
    maxDataRate: bits(4),
  }),
  z.strictObject({ type: z.literal('rxTimingSetupReq'), delay: bits(4) }),
  z.strictObject({ type: z.literal('dlChannelReq'), chIndex: bits(8), frequency }),
]);

const flag = z.boolean();
// Only answers that can say no are kept.
const answer = z.discriminatedUnion('type', [
  z.strictObject({
    type: z.literal('linkADRAns'),
    powerAck: flag,
    dataRateAck: flag,
    channelMaskAck: flag,
  }),
  z.strictObject({
    type: z.literal('rxParamSetupAns'),
    rx1DrOffsetAck: flag,
    rx2DataRateAck: flag,
    channelAck: flag,
  }),
  z.strictObject({ type: z.literal('newChannelAns'), dataRateRangeAck: flag, channelFrequencyAck: flag }),
  z.strictObject({ type: z.literal('dlChannelAns'), uplinkFrequencyExists: flag, channelFrequencyAck: flag }),
]);

const channel = z.strictObject({
  frequency,
  minDataRate: bits(4),
  maxDataRate: bits(4),
  enabled: flag,
  downlinkFrequency: frequency.exactOptional(),
});

const history = <Item extends z.ZodType>(item: Item) => z.array(item).max(ADR_UPLINKS);

// Twice the requests that can wait, one of each kind and one for each channel.
const MOST_REQUESTS = 2 * (5 + 2 * 16);

const reception = {
  rx1DelayS: z.int().min(1).max(15),
  rx1DrOffset: bits(3),
  rx2: z.strictObject({ frequency, dataRate: bits(4) }),
};

const schema = z.strictObject({
  macVersion: z.enum(['1.0.2', '1.0.3', '1.0.4']),
  class: z.enum(['A', 'C']),
  ...reception,
  channels: z.array(channel.nullable()).max(16),
  fcntUp: fcnt.nullable(),
  dataRate: bits(4),
  txPower: bits(4),
  nbTrans: bits(4),
  maxDutyCycle: bits(4),
  adr: z.strictObject({
    enabled: flag,
    marginDb: db,
    fcnts: history(fcnt),
    snrs: history(db),
    gateways: history(z.int().min(0)),
    maxDataRate: bits(4),
    minTxPower: bits(4),
    maxTxPower: z.int().min(-1).max(15),
    isBlocked: flag,
    silences: bits(4),
    notBefore: z
      .int()
      .min(0)
      .max(2 ** 33),
  }),
  devStatus: z.strictObject({ battery: bits(8), margin: z.int().min(-32).max(31), fcnt }).nullable(),
  pending: z
    .array(
      z.strictObject({
        command: request,
        attempts: z.int().min(0).max(255),
        inFlight: z.boolean(),
        sentAt: fcnt.exactOptional(),
      }),
    )
    .max(MOST_REQUESTS),
  rejected: z.array(z.strictObject({ command: request, answer })).max(MOST_REQUESTS),
  madeWith: z.strictObject({ ...reception, channels: z.array(frequency).max(16) }).exactOptional(),
  devStatusAskedAt: z.number().min(0).exactOptional(),
  spokenTo: z.literal(true).exactOptional(),
  number: z.int().min(0).exactOptional(),
  lives: z.int().min(0).max(MOST_LIVES).exactOptional(),
  taken: z
    .array(z.strictObject({ command: request, sentAt: fcnt, fcnt, before: request.exactOptional() }))
    .max(MOST_REQUESTS)
    .exactOptional(),
  unsure: z
    .array(z.strictObject({ command: request, sentAt: fcnt }))
    .max(MOST_UNSURE)
    .exactOptional(),
  tries: z.int().min(0).exactOptional(),
});

/** A state that was stored or came from another edge. @throws AntirioError corrupt for anything that is none. */
export function parseMacState(value: unknown): MacState {
  const parsed = schema.safeParse(value);
  if (!parsed.success)
    throw new AntirioError(
      'corrupt',
      `not a MAC state: ${parsed.error.issues[0]?.path.join('.') ?? ''}`,
      {},
      parsed.error,
    );
  return parsed.data;
}
