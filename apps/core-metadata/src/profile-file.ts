import { AntirioError } from '@antirio/kernel';
import {
  checkDepth,
  deviceProfile,
  parseJson,
  parseJsonBytes,
  refusalText,
  type DeviceProfile,
} from '@antirio/edgex-contracts';
import { parseEdgexYaml } from '@antirio/edgex-yaml';

const MULTIPART = 'multipart/form-data';

/** Bodies of the room: JSON, but for an uploaded file, whose bytes stay as they are. */
export function parseBody(bytes: Uint8Array, contentType: string | undefined): unknown {
  if (contentType?.toLowerCase().startsWith(MULTIPART) === true) return bytes;
  return bytes.length === 0 ? undefined : checkDepth(parseJsonBytes(bytes));
}

async function fileOf(bytes: unknown, contentType: string | undefined): Promise<string> {
  if (!(bytes instanceof Uint8Array) || contentType === undefined)
    throw new AntirioError('invalidInput', `missing ${MULTIPART} with a field "file"`);
  const body = new Response(new Uint8Array(bytes), { headers: { 'content-type': contentType } });
  let form: FormData;
  try {
    // eslint-disable-next-line @typescript-eslint/no-deprecated -- advised against for unbounded bodies; this one is bounded and here
    form = await body.formData();
  } catch (cause) {
    throw new AntirioError('invalidInput', `the body is no ${MULTIPART}`, {}, cause);
  }
  const file = form.get('file');
  if (file === null) throw new AntirioError('invalidInput', 'missing yaml file');
  return typeof file === 'string' ? file : file.text();
}

function parseText(text: string): unknown {
  if (text.trimStart().startsWith('{')) return checkDepth(parseJson(text));
  try {
    return checkDepth(parseEdgexYaml(text));
  } catch (cause) {
    throw new AntirioError('invalidInput', 'failed to unmarshal request body as YAML', {}, cause);
  }
}

/** The profile of an uploaded YAML (or JSON) file. @throws AntirioError invalidInput */
export async function profileOfUpload(
  body: unknown,
  contentType: string | undefined,
): Promise<DeviceProfile> {
  const value = parseText(await fileOf(body, contentType));
  const parsed = deviceProfile.safeParse(value);
  if (parsed.success) return parsed.data;
  throw new AntirioError('invalidInput', refusalText('DeviceProfile', parsed.error, value));
}
