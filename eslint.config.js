// Biome formats and lints; this is only for the rule that needs types.
import tseslint from "typescript-eslint";

export default [
  { ignores: ["**/dist/**", "**/node_modules/**", "lab/.out/**"] },
  {
    files: ["packages/*/{src,node,linux,test}/**/*.ts", "lab/**/*.ts", "bench/**/*.ts", "interop/**/*.ts"],
    languageOptions: {
      parser: tseslint.parser,
      parserOptions: {
        project: [
          "./packages/ikev2/tsconfig.json",
          "./packages/ikev2/tsconfig.node.json",
          "./packages/tcp-ao/tsconfig.json",
          "./packages/tcp-ao/tsconfig.node.json",
          "./packages/karpd/tsconfig.node.json",
          "./tsconfig.json",
        ],
        tsconfigRootDir: import.meta.dirname,
      },
    },
    plugins: { "@typescript-eslint": tseslint.plugin },
    rules: {
      "@typescript-eslint/no-floating-promises": [
        "error",
        {
          allowForKnownSafeCalls: [
            { from: "package", package: "node:test", name: ["test", "it", "describe", "suite"] },
          ],
        },
      ],
      "@typescript-eslint/no-misused-promises": "error",
      "@typescript-eslint/switch-exhaustiveness-check": ["error", { considerDefaultExhaustiveForUnions: true }],
    },
  },
];
