import { join } from 'node:path';
import { CENTRAL_ROOMS, EDGE_ROOMS, portOf, type Processes } from '@antirio/demo';
import { makeIdentityFile } from '@antirio/host';
import { openBundled, type Bundled, type Place, type RunningCommand } from './bundled.ts';

export interface RunningParty extends Place, RunningCommand {}

/** Bundled product, a centre that runs, and room for one edge at a time. Nothing of it outlives `close`. */
export interface Setting {
  readonly folder: string;
  readonly processes: Processes;
  /** A new, empty data folder with this configuration, besides what makes the centre known. */
  place(name: string, config: Readonly<Record<string, unknown>>): Place;
  start(place: Place): Promise<RunningParty>;
  close(): Promise<void>;
}

async function startParty(bundled: Bundled, place: Place, role: 'central' | 'edge'): Promise<RunningParty> {
  const rooms = role === 'central' ? CENTRAL_ROOMS : EDGE_ROOMS;
  return { ...place, ...(await bundled.start(place, ['up', '--role', role], rooms)) };
}

/** Bundles the product and starts a centre. */
export async function openSetting(): Promise<Setting> {
  const bundled = await openBundled(2);
  try {
    const centre = bundled.place('central', 0, { edge2edge: { vetted: 'all' } });
    // Before it starts: its id belongs into the edges' configuration.
    const { edgeId } = makeIdentityFile(join(centre.folder, 'identity.json'));
    await startParty(bundled, centre, 'central');
    const port = portOf('edge2edgePublic', centre.offset);
    const central = {
      ...{ edgeId, url: `http://127.0.0.1:${port}` },
      udp: { host: '127.0.0.1', port: port + 1 },
    };
    return {
      ...bundled,
      place: (name, config) => bundled.place(name, 1, { central, ...config }),
      start: (place) => startParty(bundled, place, 'edge'),
    };
  } catch (error) {
    await bundled.close();
    throw error;
  }
}
