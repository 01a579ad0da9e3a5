import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { CENTRAL_ROOMS, EDGE_ROOMS, portOf, type Processes } from '@antirio/demo';
import { configure, openBundled, type Bundled, type Place, type RunningCommand } from './bundled.ts';

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

/** Keys for the centre, before it starts: its id belongs into the edges' configuration. */
function initCentral({ antirio }: Bundled, place: Place): string {
  execFileSync(process.execPath, [antirio, 'init', '--role', 'central', '--data-dir', place.folder]);
  const { edgeId } = JSON.parse(readFileSync(join(place.folder, 'identity.json'), 'utf8')) as {
    edgeId: string;
  };
  configure(place, { edge2edge: { vetted: 'all' } });
  return edgeId;
}

/** Bundles the product and starts a centre. */
export async function openSetting(): Promise<Setting> {
  const bundled = await openBundled(2);
  try {
    const centre = bundled.place('central', 0);
    const edgeId = initCentral(bundled, centre);
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
