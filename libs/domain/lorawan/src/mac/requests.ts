import { AntirioError } from '@antirio/kernel';
import type { RegionPlan } from '../region/plan.ts';
import { encodeMacCommands } from './codec.ts';
import type { MacRequest, MacState, PendingRequest } from './state.ts';

/** 15 in LinkADRReq: as it is. */
export const KEEP = 15;
/** ChMaskCntl: every channel that is defined, whatever ChMask says. */
export const ALL_CHANNELS = 6;

type RequestOf<Type extends MacRequest['type']> = Extract<MacRequest, { readonly type: Type }>;

function refuse(command: MacRequest, why: string): never {
  throw new AntirioError('invalidInput', `${command.type}: ${why}`, { command });
}

function requireFrequency(plan: RegionPlan, command: MacRequest & { readonly frequency: number }): void {
  if (plan.band(command.frequency) === undefined)
    refuse(command, `nothing may be sent on ${command.frequency} Hz`);
}

function checkMask({ channels }: MacState, command: RequestOf<'linkADRReq'>): void {
  const { chMask, chMaskCntl } = command;
  if (chMaskCntl === ALL_CHANNELS) return;
  if (chMaskCntl !== 0) refuse(command, `no ChMaskCntl ${chMaskCntl}`);
  if (chMask === 0) refuse(command, 'a device needs a channel');
  for (let i = 0; i < 16; i++)
    if ((chMask & (1 << i)) !== 0 && (channels[i] ?? null) === null)
      refuse(command, `channel ${i} is not defined`);
}

function checkLinkAdr(plan: RegionPlan, state: MacState, command: RequestOf<'linkADRReq'>): void {
  const { dataRate, txPower } = command;
  if (dataRate !== KEEP && plan.dataRate(dataRate) === undefined) refuse(command, `no data rate ${dataRate}`);
  if (txPower !== KEEP && plan.txPowers[txPower] === undefined) refuse(command, `no TXPower ${txPower}`);
  checkMask(state, command);
}

function checkRxParam(plan: RegionPlan, _: MacState, command: RequestOf<'rxParamSetupReq'>): void {
  plan.rx1DataRate(0, command.rx1DrOffset);
  if (plan.dataRate(command.rx2DataRate) === undefined)
    refuse(command, `no data rate ${command.rx2DataRate}`);
  requireFrequency(plan, command);
}

function checkNewChannel(plan: RegionPlan, _: MacState, command: RequestOf<'newChannelReq'>): void {
  const { chIndex, frequency, minDataRate, maxDataRate } = command;
  if (chIndex < plan.defaultChannels.length || chIndex >= plan.maxChannels)
    refuse(command, `channel ${chIndex} cannot be set`);
  if (frequency !== 0) requireFrequency(plan, command);
  if (minDataRate > maxDataRate || plan.dataRate(maxDataRate) === undefined)
    refuse(command, `no data rates ${minDataRate} to ${maxDataRate}`);
}

function checkDlChannel(plan: RegionPlan, state: MacState, command: RequestOf<'dlChannelReq'>): void {
  if ((state.channels[command.chIndex] ?? null) === null)
    refuse(command, `channel ${command.chIndex} is not defined`);
  requireFrequency(plan, command);
}

/** @throws AntirioError invalidInput for what the region or the device's channels do not have. */
export function checkRequest(plan: RegionPlan, state: MacState, command: MacRequest): void {
  encodeMacCommands([command]);
  switch (command.type) {
    case 'linkADRReq':
      checkLinkAdr(plan, state, command);
      return;
    case 'rxParamSetupReq':
      checkRxParam(plan, state, command);
      return;
    case 'newChannelReq':
      checkNewChannel(plan, state, command);
      return;
    case 'dlChannelReq':
      checkDlChannel(plan, state, command);
      return;
    case 'dutyCycleReq':
    case 'rxTimingSetupReq':
    case 'devStatusReq':
      return;
  }
}

/** Requests of one key replace each other. */
export function keyOf(command: MacRequest): string {
  return 'chIndex' in command ? `${command.type} ${command.chIndex}` : command.type;
}

/** One that is in flight stays until the device has had its chance to answer it. */
export function withRequest(pending: readonly PendingRequest[], command: MacRequest): PendingRequest[] {
  const key = keyOf(command);
  const others = pending.filter((each) => each.inFlight || keyOf(each.command) !== key);
  return [...others, { command, attempts: 0, inFlight: false }];
}
