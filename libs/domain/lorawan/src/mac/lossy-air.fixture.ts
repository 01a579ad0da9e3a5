import fc from 'fast-check';
import { encodeMacCommands, parseMacCommands, type DownlinkMacCommand, type MacRequest } from '../index.ts';

const requests: fc.Arbitrary<MacRequest> = fc.oneof(
  fc.constantFrom<MacRequest>({ type: 'devStatusReq' }),
  fc.record({ type: fc.constant('rxTimingSetupReq' as const), delay: fc.nat(15) }),
  fc.record({ type: fc.constant('dutyCycleReq' as const), maxDutyCycle: fc.nat(15) }),
  fc.record({
    type: fc.constant('rxParamSetupReq' as const),
    rx1DrOffset: fc.nat(5),
    rx2DataRate: fc.nat(6),
    frequency: fc.constantFrom(869_525_000, 868_100_000),
  }),
  fc.record({
    type: fc.constant('dlChannelReq' as const),
    chIndex: fc.nat(2),
    frequency: fc.constantFrom(869_525_000, 868_500_000),
  }),
  fc.record({
    type: fc.constant('linkADRReq' as const),
    dataRate: fc.nat(5),
    txPower: fc.nat(7),
    chMask: fc.integer({ min: 1, max: 7 }),
    chMaskCntl: fc.constant(0),
    nbTrans: fc.integer({ min: 1, max: 3 }),
  }),
  fc.record({
    type: fc.constant('newChannelReq' as const),
    chIndex: fc.integer({ min: 3, max: 4 }),
    frequency: fc.constantFrom(867_100_000, 867_300_000, 0),
    minDataRate: fc.constant(0),
    maxDataRate: fc.constant(5),
  }),
);

export interface Turn {
  readonly asked: MacRequest | undefined;
  readonly uplinkHeard: boolean;
  readonly downlinkHeard: boolean;
}

/** What happens at each uplink: what the device is to be asked, and what of both ways gets lost. */
export const turns: fc.Arbitrary<Turn[]> = fc.array(
  fc.record({
    asked: fc.option(requests, { nil: undefined }),
    uplinkHeard: fc.boolean(),
    downlinkHeard: fc.boolean(),
  }),
  { maxLength: 60 },
);
/** What the device takes of what it is asked. */
export const taking = fc.record({
  linkADRReq: fc.boolean(),
  dutyCycleReq: fc.constant(true),
  rxParamSetupReq: fc.boolean(),
  devStatusReq: fc.constant(true),
  newChannelReq: fc.constant(true),
  rxTimingSetupReq: fc.constant(true),
  dlChannelReq: fc.boolean(),
});

export const throughTheAir = (commands: readonly DownlinkMacCommand[]): readonly DownlinkMacCommand[] =>
  parseMacCommands(encodeMacCommands(commands), 'down').commands;
