import { InvariantViolated, token, type Token } from '@perdure/kernel';

const TENANT_CATEGORY = 'tenant-';

export const tenantStream = {
  build: (tenant: Token): string => `${TENANT_CATEGORY}${tenant}`,
  parse: (stream: string): Token => {
    if (!stream.startsWith(TENANT_CATEGORY)) throw new InvariantViolated(`${stream} is not the stream of a tenant`);
    return token(stream.slice(TENANT_CATEGORY.length), 'tenant');
  },
};

/** Requests to the owner of a tenant's stream: `perdure.req.<tenant>.tenant.<tenant>`, mapped by the broker. */
export const tenantRequestSubject = {
  build: (tenant: Token): string => `perdure.req.${tenant}.tenant.${tenant}`,
};

/** Where the owner of a partition listens. */
export const tenantPartitionSubject = {
  build: (partition: number): string => `perdure.part.${partition}.req.*.tenant.*`,
  parse: (subject: string): Token => {
    const tenant = subject.split('.')[6];
    return token(tenant ?? '', 'tenant');
  },
};
