/** Whether this kernel has TCP-AO for real sockets; false also where no native code can be loaded to ask. */
export async function kernelHasTcpAo(): Promise<boolean> {
  try {
    const { probeKernelTcpAo } = await import("@karp/tcp-ao/linux");
    return (await probeKernelTcpAo()).supported;
  } catch {
    return false;
  }
}
