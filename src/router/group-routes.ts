/** `POST` and `DELETE /groups/{group}`, and `POST /chaos/{peer}`: what changes a group as a whole, or plagues its peers. */
import { failureProblem, invalid, Problem } from './problem.ts';
import { readBody } from './request-body.ts';
import { parseFault } from './schemas.ts';
import { keepAlive, type RouterRequest } from './service.ts';

export async function postGroup(c: RouterRequest): Promise<Response> {
  const { group } = c.get('target');
  const outcome = await keepAlive(c, c.get('service').groups.create(group));
  if (!outcome.ok) {
    throw failureProblem(
      outcome.failure,
      'Not all peers answered. The group may be founded in part: repeat the request.',
    );
  }
  return Response.json({ group, groupId: outcome.groupId }, { status: outcome.created ? 201 : 200 });
}

export async function deleteGroup(c: RouterRequest): Promise<Response> {
  const { group } = c.get('target');
  const outcome = await keepAlive(c, c.get('service').groups.delete(group));
  if (!outcome.ok) {
    throw new Problem('peer_unreachable', 'Some peers are not gone yet, or did not say so: repeat the request.');
  }
  return Response.json({ group, deleted: outcome.deleted });
}

export async function postFault(c: RouterRequest, peer: string): Promise<Response> {
  const { groups, platform, settings } = c.get('service');
  if (!settings.chaos) throw new Problem('no_such_route', 'There is no such route.');
  if (c.req.method !== 'POST') {
    throw new Problem('method_not_allowed', 'Allowed: POST, OPTIONS.', { Allow: 'POST, OPTIONS' });
  }
  const makeFault = parseFault(await readBody(c.req.raw, platform));
  const outcome = await keepAlive(c, groups.fault(c.get('target').group, peer, makeFault));
  if (outcome === 'bad_fault') throw invalid('from must be another peer of the group.');
  if (!outcome.ok)
    throw failureProblem(outcome.failure, 'The peer did not answer. The fault may be set: repeat the request.');
  return Response.json({ ok: true });
}
