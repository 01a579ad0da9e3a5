import { announcedUrl, type RimAccess } from '@antirio/host';
import type { OrchestratorOptions } from './options.ts';

/** What foreign services' addresses in core-metadata begin with: core-command reaches them by way of this room. */
export function baseUrlOf(
  { baseUrl, bind }: Pick<OrchestratorOptions, 'baseUrl' | 'bind'>,
  access: Pick<RimAccess, 'tls'> | undefined,
  port: number,
): string {
  return (baseUrl ?? announcedUrl(access, bind, port)).replace(/\/$/, '');
}
