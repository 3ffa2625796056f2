//! Who else acts in a cluster: the scheduler, the kubelets, the garbage collector.
