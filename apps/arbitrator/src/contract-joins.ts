import type { Bus, HttpPeer, Log } from '@antirio/host';
import type { Clock, EdgeId } from '@antirio/kernel';
import type { ContractTerms, ProtectedDevice } from '@antirio/service-contract';
import type { ContractStore } from './contract-store.ts';
import { createJoinDesk, type JoinDesk, type JoinDeskPorts } from './join-desk.ts';
import { createJoinHome, type JoinHome } from './join-home.ts';
import { withJoins } from './join-records.ts';
import type { JoinsOfContracts } from './party-rooms.ts';
import type { Secrets } from './sealed-keys.ts';

/** Joins of devices under contracts, on either side: answered in the place of their own edge, and brought home. */
export interface ContractJoins {
  readonly desk: JoinDesk;
  readonly home: JoinHome;
  readonly ofRooms: JoinsOfContracts;
  /** The addresses that a customer has given, and those that we gave in its place since. */
  withAnswered(contractId: string, given: readonly ProtectedDevice[]): readonly ProtectedDevice[];
  /** Keys with the sessions of joins that the provider answered, as far as they are known here. */
  withSessions(terms: ContractTerms, secrets: Secrets): Secrets;
  leave(contractId: string): void;
}

export interface ContractJoinsPorts extends Omit<JoinDeskPorts, 'bus' | 'store' | 'clock' | 'log'> {
  readonly bus: Bus;
  readonly peers: Readonly<Record<string, HttpPeer>>;
  readonly self: EdgeId;
  readonly store: ContractStore;
  readonly clock: Clock;
  readonly log: Log;
}

export function createContractJoins(ports: ContractJoinsPorts): ContractJoins {
  const desk = createJoinDesk(ports);
  const home = createJoinHome(ports);
  return {
    desk,
    home,
    ofRooms: {
      answered: desk.last,
      known: home.known,
      told: home.told,
    },
    withAnswered(contractId, given) {
      const answered = desk.joinsOf(contractId);
      if (answered.length === 0) return given;
      const all = [...given, ...answered].map(({ devEui, devAddr }) => ({ devEui, devAddr }));
      return [...new Map(all.map((one) => [`${one.devEui}/${one.devAddr}`, one])).values()];
    },
    withSessions(terms, secrets) {
      const side = terms.customer === ports.self ? home : desk;
      return withJoins(terms, secrets, side.joinsOf(terms.contractId));
    },
    leave(contractId) {
      desk.leave(contractId);
      home.leave(contractId);
    },
  };
}
