import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { workspaceRoot } from '@antirio/bundle';
import { portOf, type Room } from '@antirio/demo';
import type { PartyName } from '@antirio/demo/scenes';
import { ImageError } from '@antirio/edge-image';
import { OVERRIDES } from './compose.ts';

/** Rooms whose ports the lab publishes on loopback, for whoever wants to ask them. */
const PUBLISHED = [
  ...(['coreData', 'coreMetadata', 'coreCommand', 'orchestrator', 'arbitrator', 'gatewayBridge'] as const),
];

const party = z.strictObject({ edgeId: z.string(), offset: z.int() });

const stateSchema = z.strictObject({
  project: z.string(),
  image: z.string(),
  overrides: z.array(z.enum(OVERRIDES)),
  /** Of the overrides' programs, by the variables of docker/lab's files. */
  images: z.record(z.string(), z.string()),
  /** First three bytes of two networks of 256 addresses. */
  subnets: z.strictObject({ betweenEdges: z.string(), air: z.string() }),
  parties: z.strictObject({ central: party, a: party, b: party }),
  /** A handover was made: what the motes sent since then belongs to no contract. */
  used: z.boolean(),
});
/** One lab that is up, or was. */
export type LabState = z.output<typeof stateSchema>;

/** Where a lab's files are: configuration, what the motes did, logs. */
export function labFolder(project: string): string {
  return join(workspaceRoot, 'node_modules/.cache/antirio/lab', project);
}

const stateFile = (project: string): string => join(labFolder(project), 'lab.json');

export function writeState(state: LabState): void {
  mkdirSync(labFolder(state.project), { recursive: true });
  writeFileSync(stateFile(state.project), `${JSON.stringify(state, undefined, 2)}\n`);
}

/** @throws ImageError where there is half of one */
export function readState(project: string): LabState | undefined {
  const file = stateFile(project);
  if (!existsSync(file)) return undefined;
  try {
    return stateSchema.parse(JSON.parse(readFileSync(file, 'utf8')));
  } catch (cause) {
    throw new ImageError(`${file} is damaged: end the lab with npm run lab -- down, and begin anew`, {
      cause,
    });
  }
}

/** Where one of the rooms of a party that are published is asked from this machine. */
export function urlOf({ parties, overrides }: LabState, party: PartyName, room: Room): string {
  const scheme = overrides.includes('tls') ? 'https' : 'http';
  return `${scheme}://127.0.0.1:${portOf(room, parties[party].offset)}`;
}

/** All that are asked of a party. */
export function originsOf(state: LabState, party: PartyName): string[] {
  const rooms = party === 'central' ? (['ledger'] as const) : PUBLISHED;
  return rooms.map((room) => urlOf(state, party, room));
}

const upper = (room: string): string => room.replaceAll(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase();

/** The variables of docker/lab/compose.yml. */
export function variablesOf({ image, images, project, subnets, parties }: LabState): Record<string, string> {
  const variables: Record<string, string> = {};
  for (const edge of ['a', 'b'] as const)
    for (const room of PUBLISHED)
      variables[`LAB_PORT_${edge.toUpperCase()}_${upper(room)}`] = String(portOf(room, parties[edge].offset));
  return {
    ...variables,
    ...images,
    LAB_PORT_CENTRAL_LEDGER: String(portOf('ledger', parties.central.offset)),
    LAB_IMAGE: image,
    LAB_SUBNET: subnets.betweenEdges,
    LAB_AIR_SUBNET: subnets.air,
    LAB_FOLDER: labFolder(project),
  };
}
