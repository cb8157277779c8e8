export interface LayerRule {
  readonly ours: readonly string[];
  readonly npm?: readonly string[];
}

export interface DependencyConstraint {
  readonly sourceTag: string;
  readonly onlyDependOnLibsWithTags: readonly string[];
  readonly allowedExternalImports?: readonly string[];
}

export declare const LAYERS: Readonly<Record<string, LayerRule>>;
export declare const CONTEXTS: readonly string[];
export declare const CORE_CONTEXTS: readonly string[];
export declare function depConstraints(options: { readonly forSpecs: boolean }): readonly DependencyConstraint[];
