import { z } from 'zod';
import { AntirioError, uuidV4, type Random } from '@antirio/kernel';
import type { HttpRim } from '@antirio/host';
import { baseResponse, baseResponseSchema } from '@antirio/edgex-contracts';
import type { Parts } from './parts.ts';
import { profileScanRequest } from './profile-scan.ts';

interface Ports {
  /** @throws AntirioError unavailable while the service does not run */
  readonly parts: () => Pick<Parts, 'cache' | 'checkOpen' | 'discovery' | 'scans'>;
  readonly random: Random;
  /** Whether the configuration, and the driver, let devices be looked for. */
  readonly mayDiscover: boolean;
}

const DISCOVERY = '/api/v3/discovery';
const SCAN = '/api/v3/profilescan';
const byRequest = z.object({ requestId: z.string() });
const byName = z.object({ name: z.string() });
const answer = baseResponseSchema;

/** EdgeX's `/discovery` and `/profilescan`. */
export function addSearchRoutes(rim: HttpRim, ports: Ports): void {
  const { mayDiscover, parts, random } = ports;
  const idOf = (header: string | undefined): string => header ?? uuidV4(random);

  rim.route('post', DISCOVERY, { summary: 'looks for devices', answer, status: 202 }, ({ request }) => {
    if (parts().cache.adminState === 'LOCKED') throw new AntirioError('locked', 'service locked');
    if (!mayDiscover) throw new AntirioError('unavailable', 'device discovery disabled');
    parts().checkOpen();
    // there is no body to have an id
    const requestId = idOf(request.get('x-correlation-id'));
    parts().discovery.begin(requestId);
    return baseResponse(202, { requestId, message: 'Device Discovery is triggered.' });
  });
  rim.route('delete', DISCOVERY, { summary: 'ends the search for devices', answer }, () => {
    parts().discovery.end(undefined);
    return baseResponse(200);
  });
  const one = { summary: 'ends a search for devices', params: byRequest, answer };
  rim.route('delete', `${DISCOVERY}/requestId/:requestId`, one, ({ params: { requestId } }) => {
    parts().discovery.end(requestId);
    return baseResponse(200, { requestId });
  });
  const begin = { summary: 'makes a profile of a device', body: profileScanRequest, answer, status: 202 };
  rim.route('post', SCAN, begin, ({ body, request }) => {
    parts().checkOpen();
    const requestId = parts().scans.begin(body, idOf(request.get('x-correlation-id')));
    return baseResponse(202, { requestId, message: 'Device ProfileScan is triggered.' });
  });
  const end = { summary: 'ends the scan of a device', params: byName, answer };
  rim.route('delete', `${SCAN}/device/name/:name`, end, ({ params: { name } }) => {
    parts().scans.end(name);
    return baseResponse(200);
  });
}
