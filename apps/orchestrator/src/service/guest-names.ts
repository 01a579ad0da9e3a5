import { z } from 'zod';
import { callJson, type HttpPeer } from '@antirio/host';
import { isAntirioError } from '@antirio/kernel';
import { parseAnswer } from '../flow/answers.ts';
import { createNamespace } from '../rim/names.ts';

const named = z.array(z.looseObject({ name: z.string() })).default([]);
const listed = z.object({ devices: named, profiles: named, services: named });
type Kind = keyof z.output<typeof listed>;

const PAGE = 100;

async function namesIn(coreMetadata: HttpPeer, path: string, kind: Kind, offset: number): Promise<string[]> {
  const answer = await callJson(coreMetadata, { path: `${path}?offset=${offset}&limit=${PAGE}` });
  return parseAnswer(listed, answer)[kind].map(({ name }) => name);
}

/** Every name of the namespace in a list. */
async function ownNames(coreMetadata: HttpPeer, path: string, kind: Kind, prefix: string): Promise<string[]> {
  const own: string[] = [];
  for (let offset = 0; ; offset += PAGE) {
    const page = await namesIn(coreMetadata, path, kind, offset);
    own.push(...page.filter((name) => name.startsWith(prefix)));
    if (page.length < PAGE) return own;
  }
}

async function removeNamed(coreMetadata: HttpPeer, kind: string, name: string): Promise<void> {
  try {
    await callJson(coreMetadata, {
      method: 'DELETE',
      path: `/api/v3/${kind}/name/${encodeURIComponent(name)}`,
    });
  } catch (error) {
    if (!isAntirioError(error, 'notFound')) throw error;
  }
}

/** Removes what a customer's service registered at this edge's core-metadata; readings of it stay as long as others do. */
export async function forgetGuest(coreMetadata: HttpPeer, contractId: string): Promise<void> {
  const { prefix } = createNamespace(contractId);
  const services = await ownNames(coreMetadata, '/api/v3/deviceservice/all', 'services', prefix);
  for (const service of services) {
    const path = `/api/v3/device/service/name/${encodeURIComponent(service)}`;
    for (const name of await ownNames(coreMetadata, path, 'devices', prefix))
      await removeNamed(coreMetadata, 'device', name);
  }
  for (const name of await ownNames(coreMetadata, '/api/v3/deviceprofile/all', 'profiles', prefix))
    await removeNamed(coreMetadata, 'deviceprofile', name);
  for (const name of services) await removeNamed(coreMetadata, 'deviceservice', name);
}
