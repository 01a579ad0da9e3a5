import type { SimulatorConfig } from './config.ts';
import type { MacAnswer, MacRequest } from './mac-commands.ts';
import type { MacParameters } from './mac-parameters.ts';
import { asksForDownlink, backedOff } from './adr-back-off.ts';
import { ADR_ACK_LIMIT } from './eu868.ts';
import { readMacRequests } from './mac-commands.ts';
import { answerRequests } from './mac-rules.ts';

/** What a downlink told a mote's MAC layer, and what it answers in its next uplink. */
export interface MacExchange {
  readonly requests: readonly MacRequest[];
  /** Hex. */
  readonly answers: string;
  /** What it did not understand, hex. */
  readonly unread: string;
}

/** A downlink as the MAC layer sees it. */
export interface MacDownlink {
  readonly fOpts: Buffer;
  readonly fPort: number | null;
  /** FRMPayload in the clear. */
  readonly payload: Buffer;
  readonly fPending: boolean;
  readonly snr: number;
  readonly battery: number;
}

/** The MAC commands and the ADR of one mote. */
export interface MacLayer {
  parameters: MacParameters;
  /** Before an uplink that is this many after the last downlink: backs off where it is time; gives ADRACKReq. */
  beforeUplink(adr: boolean, silentUplinks: number): boolean;
  /** Answers for an uplink, those left out that no frame at DR0 could hold; what must be said in every uplink stays. */
  takeAnswers(): Buffer;
  /** A downlink was accepted; undefined where it says nothing to this layer. */
  receive(downlink: MacDownlink): MacExchange | undefined;
  /** Whether the network has more to say and wants a window for it; asking settles it. */
  takePoll(): boolean;
  /** Forgets all that a network said. */
  reset(parameters: MacParameters): void;
}

type Rules = Pick<SimulatorConfig, 'mac' | 'macVersion' | 'adrAckLimit' | 'adrAckDelay'>;

function requestBytes({ fOpts, fPort, payload }: MacDownlink): Buffer {
  if (fPort !== 0) return fOpts;
  // A frame with commands in both places is against the rules: nothing in it is obeyed.
  return fOpts.length > 0 ? Buffer.alloc(0) : payload;
}

// The specification wants answers that do not fit to be left out, in whole and from the first that does not.
const LONGEST_ANSWERS = 51;

function joined(answers: readonly MacAnswer[]): Buffer {
  let size = 0;
  const fitting = answers
    .map(({ bytes }) => bytes)
    .filter(({ length }) => (size += length) <= LONGEST_ANSWERS);
  return Buffer.concat(fitting);
}

class AnsweringMac implements MacLayer {
  parameters: MacParameters;
  readonly #rules: Rules;
  #answers: MacAnswer[] = [];
  #repeated: MacAnswer[] = [];
  #pollWanted = false;

  constructor(parameters: MacParameters, rules: Rules) {
    this.parameters = parameters;
    this.#rules = rules;
  }

  beforeUplink(adr: boolean, silentUplinks: number): boolean {
    if (!adr) return false;
    const { adrAckLimit, adrAckDelay, macVersion } = this.#rules;
    const patience = { limit: adrAckLimit, delay: adrAckDelay };
    this.parameters = backedOff(this.parameters, silentUplinks, patience);
    return asksForDownlink(this.parameters, silentUplinks, patience, macVersion);
  }

  takeAnswers(): Buffer {
    const answers = [...this.#repeated, ...this.#answers];
    this.#repeated = answers.filter(({ sticky }) => sticky);
    this.#answers = [];
    return joined(answers);
  }

  receive(downlink: MacDownlink): MacExchange | undefined {
    this.#repeated = [];
    this.#pollWanted ||= downlink.fPending;
    const bytes = requestBytes(downlink);
    if (bytes.length === 0) return undefined;
    const { requests, unread } = readMacRequests(bytes);
    const state = { version: this.#rules.macVersion, battery: downlink.battery, snr: downlink.snr };
    const { parameters, answers } = answerRequests(requests, this.parameters, state);
    this.parameters = parameters;
    this.#answers.push(...answers);
    const said = Buffer.concat(answers.map((answer) => answer.bytes));
    return { requests, answers: said.toString('hex'), unread: unread.toString('hex') };
  }

  takePoll(): boolean {
    const wanted = this.#pollWanted;
    this.#pollWanted = false;
    return wanted;
  }

  reset(parameters: MacParameters): void {
    this.parameters = parameters;
    this.#answers = [];
    this.#repeated = [];
    this.#pollWanted = false;
  }
}

const NOTHING = Buffer.alloc(0);

// A mote that hears MAC commands and does nothing: the simulator's motes before they had a MAC layer.
function createDeafMac(parameters: MacParameters): MacLayer {
  return {
    parameters,
    beforeUplink: (adr, silentUplinks) => adr && silentUplinks >= ADR_ACK_LIMIT,
    takeAnswers: () => NOTHING,
    receive: () => undefined,
    takePoll: () => false,
    reset(next) {
      this.parameters = next;
    },
  };
}

export function createMacLayer(parameters: MacParameters, rules: Rules): MacLayer {
  return rules.mac === 'answered' ? new AnsweringMac(parameters, rules) : createDeafMac(parameters);
}
