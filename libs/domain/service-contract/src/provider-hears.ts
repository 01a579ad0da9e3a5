import { heardBeat } from './detector.ts';
import type { Beat, DatagramProof } from './messages.ts';
import type { PartyEvent } from './party.ts';
import type { ProviderState, Step } from './provider-state.ts';
import { onTakeOver } from './provider-yield.ts';
import { keptBeat } from './signed-beat.ts';
import { probeReplied, type Watch } from './watch.ts';

/** A datagram as it comes to the machine. */
export type Arrival = Extract<PartyEvent, { type: 'datagram' }>;

/** What the customer says: that it lives, that the provider shall take over, or in answer to a probe. */
export function onCustomerDatagram(state: ProviderState, { datagram, proof }: Arrival, now: number): Step {
  const { terms, watch: known } = state;
  if (datagram.kind === 'beat' && datagram.body.contractId === terms.contractId)
    return [heardCustomer(state, datagram.body, proof, now), []];
  if (datagram.kind === 'takeOver' && datagram.body.contractId === terms.contractId)
    return onTakeOver(state, datagram.body.word, now);
  if (datagram.kind !== 'probeReply') return [state, []];
  return [{ ...state, watch: probeReplied(known, datagram.body.nonce, now) ?? known }, []];
}

function heardCustomer(
  state: ProviderState,
  beat: Beat,
  proof: DatagramProof | undefined,
  now: number,
): ProviderState {
  const watching = onBeat(state.watch, beat, now);
  if (watching === state.watch) return state;
  const { yields = false, storeOk, gateways = state.told?.gateways ?? [] } = beat;
  const word = { ...state.word, stands: yields };
  const heard = keptBeat(state.terms.customer, beat, proof, now);
  return { ...state, watch: watching, word, told: { storeOk, gateways }, beat: heard };
}

function onBeat(known: Watch, beat: Beat, now: number): Watch {
  const detector = heardBeat(known.detector, beat, now);
  if (detector === known.detector) return known;
  const fencedSince = beat.leaseLeftMs > 0 ? undefined : (known.fencedSince ?? now);
  return { ...known, detector, fencedSince };
}
