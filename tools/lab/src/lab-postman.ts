import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { get as getPlain } from 'node:http';
import { get as getSecure } from 'node:https';
import { json } from 'node:stream/consumers';
import { EDGE_ROOMS, portOf, type Room } from '@antirio/demo';
import { docker, ImageError } from '@antirio/edge-image';
import { folderOf, runFolders, type NewmanRun, type OpenApi } from '@antirio/postman';
import { containersOf } from './lab-files.ts';
import { operatorToken } from './lab-secrets.ts';
import type { LabState } from './lab-state.ts';

type Edge = 'a' | 'b';

/** `coreData` is the service core-data; what answers HTTP of the broker is the service broker. */
const serviceOf = (room: Room): string =>
  room.replace(/Http$/, '').replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);

interface Asking {
  /** Of its container in the edge's own network, which this machine reaches. */
  readonly address: string;
  readonly service: string;
  readonly url: string;
}

async function askings(state: LabState, edge: Edge): Promise<Asking[]> {
  const network = `${state.project}_edge-${edge}`;
  const containers = await containersOf(state.project);
  const scheme = state.overrides.includes('tls') ? 'https' : 'http';
  const rooms = EDGE_ROOMS.filter((room) => containers.has(`${edge}-${serviceOf(room)}`));
  const ids = rooms.map((room) => containers.get(`${edge}-${serviceOf(room)}`) ?? '');
  const format = `{{(index .NetworkSettings.Networks "${network}").IPAddress}}`;
  const addresses = (await docker(['inspect', '--format', format, ...ids])).split('\n');
  return rooms.map((room, index) => {
    const address = addresses[index] ?? '';
    return { address, service: serviceOf(room), url: `${scheme}://${address}:${portOf(room, 0)}` };
  });
}

/** By its address; with TLS its certificate has to be for its name. */
async function documentOf({ url, service }: Asking, token: string): Promise<OpenApi> {
  const get = url.startsWith('https') ? getSecure : getPlain;
  const headers = { authorization: `Bearer ${token}` };
  const asked = get(`${url}/api/v3/openapi.json`, { headers, servername: service, timeout: 10_000 });
  const [answer] = (await once(asked, 'response')) as [IncomingMessage];
  const document = (await json(answer)) as OpenApi;
  if (answer.statusCode !== 200) throw new ImageError(`${service} tells nothing of what it can be asked`);
  return document;
}

/** Asks all services of an edge of the lab all that their documents tell, and what the thesis's tables have, by newman. */
export async function askEverything(state: LabState, edge: Edge): Promise<NewmanRun> {
  const token = operatorToken(state, edge);
  const all = await askings(state, edge);
  const documents = await Promise.all(all.map((one) => documentOf(one, token)));
  const folders = all.flatMap(({ service }, index) => {
    const document = documents[index];
    return document === undefined ? [] : [folderOf(service, document)];
  });
  const urls = Object.fromEntries(all.map(({ service, url }) => [service, url]));
  // newman knows no names beside the addresses that it asks
  return runFolders(folders, { urls, token, anyCertificate: true });
}
