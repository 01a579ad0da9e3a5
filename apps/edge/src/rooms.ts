export type Role = 'edge' | 'central';

interface RoomEntry {
  /** As in `antirio serve <room>` and in paths between edges. */
  readonly name: string;
  readonly roles: readonly Role[];
  /** Its ports by the path of their option; the first is that of its HTTP resources. */
  readonly ports: Readonly<Record<string, number>>;
}

const EDGE = ['edge'] as const;
const CENTRAL = ['central'] as const;
const BOTH = ['edge', 'central'] as const;
/** Only where it is asked for by name. */
const NONE = [] as const;

const room = (
  name: string,
  roles: readonly Role[],
  port: number,
  more: Record<string, number> = {},
): RoomEntry => ({
  name,
  roles,
  ports: { port, ...more },
});

/**
 * All rooms, in the order in which they start: first what others write to, last what acts by itself. They stop in the opposite order.
 */
const ROOMS = {
  broker: { name: 'broker', roles: BOTH, ports: { httpPort: 59_709, port: 1883 } },
  coreKeeper: room('core-keeper', EDGE, 59_890),
  coreMetadata: room('core-metadata', EDGE, 59_881),
  coreData: room('core-data', EDGE, 59_880),
  coreCommand: room('core-command', EDGE, 59_882),
  ledger: room('ledger', CENTRAL, 59_707),
  filecoinInterface: room('filecoin-interface', EDGE, 59_702),
  edge2edge: room('edge2edge', BOTH, 59_706, { peerPort: 59_716, udpPort: 59_717 }),
  gatewayBridge: room('gateway-bridge', EDGE, 59_708, { 'udp.port': 1700 }),
  migration: room('migration', EDGE, 59_701),
  orchestrator: room('orchestrator', EDGE, 59_700),
  marketplace: room('marketplace', BOTH, 59_705),
  dmu: room('dmu', EDGE, 59_703),
  arbitrator: room('arbitrator', BOTH, 59_704),
  deviceLora: room('device-lora', EDGE, 59_910),
  fleet: room('fleet', NONE, 59_710),
  ledgerApp: room('ledger-app', NONE, 59_711, { abciPort: 26_658 }),
} as const satisfies Record<string, RoomEntry>;

/** A room's name in camel case: the section of its options, and its key among the peers. */
export type RoomKey = keyof typeof ROOMS;
export type Room = RoomEntry & { readonly key: RoomKey };

export const ROOM_KEYS = Object.keys(ROOMS) as [RoomKey, ...RoomKey[]];

export function roomOf(key: RoomKey): Room {
  return { ...ROOMS[key], key };
}
